"""Feedback, opinions and money in a real database, and feedback over the real bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from classifier.adapters.catalogue_files import load_briefs
from classifier.adapters.llm import OpenAi
from classifier.adapters.sql.feedback import SqlFeedback
from classifier.adapters.sql.opinions import KEPT_FOR, SqlOpinions, SqlSpending
from classifier.adapters.sql.schema import SCHEMA
from classifier.app import build
from classifier.arbiter import Arbiter, Limits
from classifier.domain.arbitration import Opinion
from classifier.domain.spending import DailyBudget, LlmBreaker, Prices
from classifier.purse import Purse
from classifier.settings import ClassifierSettings
from contracts.classification import AcceptedBid, SightedBid, UncertainBid, Zone
from contracts.feedback import (
    BidSnapshot,
    FeedbackCategory,
    FeedbackOutcome,
    FeedbackReply,
    PatternsQuery,
    PatternsReply,
    TellFeedback,
    UserVerdict,
)
from contracts.samples import SEARCH_ID, bid
from contracts.subjects import FEEDBACK, FEEDBACK_PATTERNS
from contracts.verdict import Confidence, Lens, RelevanceSource, Verdict
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.sql.database import Database
from simulators.llm import LlmSimulator

ARBITRATION = timedelta(seconds=10)
"""What a search waits for its open bids (DESIGN 4.7)."""
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
OPINION = Opinion(
    classe="relevante", confianca=80, evidencias=["uniformes"], motivo_exclusao="", precisa_mais_dados=False
)


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Empty, of either kind."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        async with other_end(url) as connection:
            await connection.execute(sa.schema.DropSchema(SCHEMA.name, cascade=True, if_exists=True))
    async with Database.of(SCHEMA, url, tmp_path) as database:
        yield database


@asynccontextmanager
async def other_end(postgres_url: str) -> AsyncIterator[AsyncConnection]:
    """Someone else's transaction on the same PostgreSQL."""
    engine = create_async_engine(sa.make_url(postgres_url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def told(
    number: int = 1, verdict: UserVerdict | None = UserVerdict.FALSE_POSITIVE, *, user: str = "ana", objeto: str = "x"
) -> TellFeedback:
    snapshot = BidSnapshot(objeto=objeto, sector="vestuario", matched_terms=("uniforme",)) if verdict else None
    return TellFeedback(
        user=user, tenant="acme", search_id=SEARCH_ID, bid_id=bid(number).id, user_verdict=verdict, snapshot=snapshot
    )


def open_bid(objeto: str) -> UncertainBid:
    verdict = Verdict(
        relevance_source=RelevanceSource.RULES_WITHOUT_LLM, confidence=Confidence.LOW, confidence_score=50, density=0.03
    )
    content = bid(1).model_copy(update={"objeto": objeto})
    return UncertainBid(sighted=SightedBid(bid=content, seen_at=NOW, live=True), zone=Zone.STANDARD, verdict=verdict)


class TestSqlFeedback:
    async def test_keeps_one_row_per_user_search_and_bid(self, database: Database) -> None:
        book = SqlFeedback(database, most_an_hour=50)
        changed = told(verdict=UserVerdict.CORRECT).model_copy(update={"category": FeedbackCategory.OTHER})
        said = [(await book.take(each, now=NOW)).outcome for each in (told(), changed, told(user="bia"), told(2))]
        assert said == [
            FeedbackOutcome.KEPT, FeedbackOutcome.CHANGED, FeedbackOutcome.KEPT, FeedbackOutcome.KEPT
        ]  # fmt: skip
        verdicts = sorted(each.user_verdict for each in await book.given("vestuario"))
        assert verdicts == [UserVerdict.CORRECT, UserVerdict.FALSE_POSITIVE, UserVerdict.FALSE_POSITIVE]
        assert await book.given("obras") == []

    async def test_takes_back_once(self, database: Database) -> None:
        book = SqlFeedback(database, most_an_hour=50)
        await book.take(told(), now=NOW)
        said = [(await book.take(told(verdict=None), now=NOW)).outcome for _ in range(2)]
        assert said == [FeedbackOutcome.REMOVED, FeedbackOutcome.NOT_FOUND]
        assert await book.given(None) == []

    async def test_lets_one_user_write_so_often_in_any_hour(self, database: Database) -> None:
        book = SqlFeedback(database, most_an_hour=3)
        times = [NOW + timedelta(minutes=20 * n) for n in range(3)]
        assert [(await book.take(told(n), now=at)).outcome for n, at in enumerate(times, 1)] == [
            FeedbackOutcome.KEPT
        ] * 3
        late = NOW + timedelta(minutes=59)
        refused = await book.take(told(4), now=late)
        assert (refused.outcome, refused.retry_after_s) == (FeedbackOutcome.LIMITED, 61)
        assert (await book.take(told(4, user="bia"), now=late)).outcome is FeedbackOutcome.KEPT
        assert (await book.take(told(4), now=NOW + timedelta(hours=1))).outcome is FeedbackOutcome.KEPT


class TestSqlOpinions:
    async def test_outlive_the_process_and_go_with_age(self, database: Database) -> None:
        kept = SqlOpinions(database)
        assert await kept.get("k") is None
        await kept.put("k", OPINION, now=NOW)
        await kept.put("k", OPINION.model_copy(update={"confianca": 1}), now=NOW)
        assert await SqlOpinions(database).get("k") == OPINION
        await kept.put("other", OPINION, now=NOW + KEPT_FOR + timedelta(days=1))
        assert await kept.get("k") is None


class TestSqlSpending:
    async def test_is_one_sum_a_day_for_all(self, database: Database) -> None:
        one, other, day = SqlSpending(database, Decimal("0.10")), SqlSpending(database, Decimal("0.10")), NOW.date()
        assert await one.take(Decimal("0.06"), day=day)
        assert not await other.take(Decimal("0.06"), day=day)
        await one.settle(Decimal("0.06"), Decimal("0.01"), day=day)
        assert await other.take(Decimal("0.06"), day=day)
        assert await other.take(Decimal("0.10"), day=day + timedelta(days=1))

    async def test_counts_the_smallest_call(self, database: Database) -> None:
        spending = SqlSpending(database, Decimal("0.000001"))
        assert await spending.take(Decimal("0.0000001"), day=NOW.date())
        assert not await spending.take(Decimal("0.0000001"), day=NOW.date())


class TestADatabaseThatHangs:
    """Its tables are locked: it takes every question and answers none."""

    async def test_costs_no_search_its_arbiter(self, postgres_url: str, tmp_path: Path) -> None:
        async with (
            Database.of(SCHEMA, postgres_url, tmp_path) as database,
            LlmSimulator() as llm,
            other_end(postgres_url) as lock,
        ):
            await database.migrate()
            client = OpenAi(api_key="k", base_url=llm.base_url, model="m", timeout=timedelta(seconds=5))
            judge = Arbiter(
                client, briefs=load_briefs(), limits=Limits(at_once=8, call=timedelta(seconds=5), held=10),
                purse=Purse(
                    shared=SqlSpending(database, Decimal(1)), own=DailyBudget(Decimal(1)), clock=utc_now
                ),
                prices=Prices(asked=Decimal("0.10"), answered=Decimal("0.40")), breaker=LlmBreaker(), clock=utc_now,
                kept=SqlOpinions(database),
            )  # fmt: skip
            for table in ("opinions", "spending"):
                await lock.execute(sa.text(f"LOCK TABLE {SCHEMA.name}.{table} IN ACCESS EXCLUSIVE MODE"))
            by = utc_now() + ARBITRATION
            said = await asyncio.gather(
                *(judge.decide(open_bid(f"Uniformes {n}"), Lens(sector="vestuario"), by=by) for n in range(8))
            )
            await judge.close()
            await client.close()
        assert [type(each) for each in said] == [AcceptedBid] * 8


class TestFeedbackOverTheBus:
    @pytest.mark.parametrize("enabled", [True, False])
    async def test_is_kept_and_read_unless_it_is_off(self, bus_url: str, tmp_path: Path, *, enabled: bool) -> None:
        settings = ClassifierSettings(nats_url=bus_url, data_dir=tmp_path, feedback_enabled=enabled)
        service, asker = build(settings), Bus(url=bus_url, service="gateway")
        await service.start()
        await asker.start()
        within = timedelta(seconds=60)
        try:
            for number in (1, 2):
                facade = told(number, objeto=f"Uniforme visual da fachada {number}")
                reply: FeedbackReply = await asker.request(FEEDBACK, facade, timeout=within)
                assert reply.outcome is (FeedbackOutcome.KEPT if enabled else FeedbackOutcome.OFF)
            query = PatternsQuery(sector="vestuario")
            found: PatternsReply = await asker.request(FEEDBACK_PATTERNS, query, timeout=within)
        finally:
            await service.stop()
            await asker.stop()
        assert found.feedback_read == (2 if enabled else 0)
        if enabled:
            (exclusion,) = found.suggested_exclusions
            assert (exclusion.term, exclusion.support) == ("uniforme visual", 2)
            assert exclusion.effect is not None
            assert exclusion.effect.misses >= 0
