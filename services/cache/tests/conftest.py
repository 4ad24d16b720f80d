"""What every test of the memory builds on."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from sqlalchemy.ext.asyncio import create_async_engine

from cache.adapters.sql.schema import SCHEMA
from cache.adapters.sql.store import SqlMemory
from cache.domain.amendments import amendments
from cache.domain.batches import StoredBid
from cache.domain.ledger import SliceRecord, after_end, slices_of_end
from contracts.fetch import FetchRange, PageFetched, RangeEnded, SliceStatus
from contracts.memory import BidChanged, Gather
from contracts.places import UF
from contracts.values import Licitacao, Modalidade, Source, pncp_id
from contracts.verdict import Lens
from contracts.when import from_brasilia
from servicekit.sql.database import Database

settings.register_profile("cache", deadline=None, max_examples=50)
settings.load_profile("cache")


class Make:
    """Builders of messages. `now` is 12:00 UTC of 20 March 2026, which is 9:00 in Brasília."""

    now = datetime(2026, 3, 20, 12, tzinfo=UTC)
    today = date(2026, 3, 20)
    search_id = "ab" * 16

    def days(self, count: int, *, last: date | None = None) -> tuple[date, ...]:
        end = last or self.today
        return tuple(end - timedelta(days=n) for n in reversed(range(count)))

    def bid(self, number: int = 1, **more: Any) -> Licitacao:
        source = more.pop("source", Source.PNCP)
        day = more.pop("day", self.today)
        plain = {
            "id": pncp_id(cnpj="00394460005887", sequencial=number, ano=2026)
            if source is Source.PNCP
            else f"PCP-{number}",
            "source": source,
            "uf": UF.SP,
            "orgao": "Prefeitura de Ensaio",
            "modalidade": Modalidade.PREGAO_ELETRONICO,
            "modalidade_nome": "Pregão - Eletrônico",
            "objeto": f"Aquisição de uniformes escolares, lote {number}",
            "valor_estimado": Decimal("1000.50"),
            "data_publicacao": from_brasilia(datetime(day.year, day.month, day.day, 8)),  # noqa: DTZ001
        }
        return Licitacao(**{**plain, **more})

    def range(self, modalidade: Modalidade | None = Modalidade.PREGAO_ELETRONICO, count: int = 1) -> FetchRange:
        days = self.days(count)
        return FetchRange(modalidade=modalidade, day_from=days[0], day_to=days[-1])

    def page(self, *bids: Licitacao, page: int = 1, **more: Any) -> PageFetched:
        plain = {
            "fetch_id": 7, "source": Source.PNCP, "uf": UF.SP, "range": self.range(), "page": page, "bids": bids,
            "fetched_at": self.now + timedelta(seconds=page),
        }  # fmt: skip
        return PageFetched(**{**plain, **more})

    def end(self, *pages: PageFetched, status: SliceStatus = SliceStatus.COMPLETE, **more: Any) -> RangeEnded:
        plain = {
            "fetch_id": 7, "source": Source.PNCP, "uf": UF.SP, "range": self.range(), "status": status,
            "page_keys": tuple(page.key for page in pages), "pages_total": len(pages),
            "records": sum(len(page.bids) for page in pages),
            "started_at": self.now, "ended_at": self.now + timedelta(seconds=30),
            "why": None if status is SliceStatus.COMPLETE else "http.503",
        }  # fmt: skip
        return RangeEnded(**{**plain, **more})

    def records(self, end: RangeEnded) -> list[SliceRecord]:
        """What the ledger holds once only this end was told."""
        return [after_end(None, key, end) for key in slices_of_end(end)]

    def changes(self) -> tuple[BidChanged, ...]:
        return amendments(self.bid(), self.bid(valor_estimado=Decimal(7)), seen_at=self.now)

    def gather(self, **more: Any) -> Gather:
        plain = {
            "search_id": self.search_id, "source": Source.PNCP, "ufs": (UF.SP,),
            "modalidades": (Modalidade.PREGAO_ELETRONICO,), "days": self.days(2),
            "lens": Lens(sector="vestuario"), "asked_at": self.now,
            "deadline": self.now + timedelta(seconds=180), "search_deadline": self.now + timedelta(seconds=360),
        }  # fmt: skip
        return Gather(**{**plain, **more})


@pytest.fixture
def stored_bid() -> Callable[[Licitacao], StoredBid]:
    """As read from the tables, last seen long before any search."""

    def build(bid: Licitacao) -> StoredBid:
        at = Make.now - timedelta(hours=2)
        return StoredBid(bid=bid, hash=bid.content_hash, size=len(bid.to_json()), since=at, last_seen=at, store_seq=1)

    return build


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty, migrated database of either kind."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.execute(sa.schema.DropSchema("cache", cascade=True, if_exists=True))
        await engine.dispose()
    database = Database.of(SCHEMA, url, tmp_path)
    yield database
    await database.close()


@pytest.fixture
async def memory(database: Database) -> SqlMemory:
    return SqlMemory(database)
