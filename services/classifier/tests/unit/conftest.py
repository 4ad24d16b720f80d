import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from classifier.adapters.catalogue_files import load_catalogue
from classifier.domain.catalogue import Catalogue
from classifier.domain.lens import OwnTermsCache
from classifier.domain.relevance import Judge
from classifier.domain.scoring import Labelled
from classifier.handlers import Bench
from contracts.classification import JudgeBids, SightedBid
from contracts.places import UF
from contracts.values import Esfera, Licitacao, Modalidade, Source, pncp_id
from contracts.verdict import Lens

ASKED = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="session")
def judge(catalogue: Catalogue) -> Judge:
    return Judge(catalogue)


@pytest.fixture
def bench(judge: Judge) -> Bench:
    return Bench(judge=judge, own_terms=OwnTermsCache(judge.grammarian, size=8), viability_enabled=True)


@pytest.fixture(scope="session")
def labelled() -> list[Labelled]:
    lines = gzip.decompress((FIXTURES / "bids_dev.jsonl.gz").read_bytes()).decode().splitlines()
    return [
        Labelled(id=row["id"], objeto=row["objeto"], sectors=frozenset(row["sectors"]), sure=row["sure"])
        for row in map(json.loads, lines)
    ]


class MakeBid:
    def __call__(self, objeto: str, *, number: int = 1, **more: Any) -> SightedBid:
        fields: dict[str, Any] = {
            "id": pncp_id(cnpj="12345678000195", sequencial=number, ano=2026),
            "source": Source.PNCP,
            "uf": UF.SP,
            "municipio": "Campinas",
            "municipio_ibge": "3509502",
            "orgao": "Prefeitura Municipal de Campinas",
            "esfera": Esfera.MUNICIPAL,
            "modalidade": Modalidade.PREGAO_ELETRONICO,
            "modalidade_nome": "Pregão - Eletrônico",
            "objeto": objeto,
            "valor_estimado": Decimal("150000.00"),
            "data_publicacao": ASKED,
            "data_encerramento": datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
            **more,
        }
        return SightedBid(bid=Licitacao(**fields), seen_at=ASKED, live=True)


@pytest.fixture
def make_bid() -> MakeBid:
    return MakeBid()


class MakeCommand:
    def __call__(self, bids: list[SightedBid], lens: Lens) -> JudgeBids:
        return JudgeBids(
            search_id="0123456789abcdef0123456789abcdef",
            batch="pncp-SP-abc",
            source=Source.PNCP,
            uf=UF.SP,
            bids=tuple(bids),
            lens=lens,
            deadline=ASKED,
        )


@pytest.fixture
def make_command() -> MakeCommand:
    return MakeCommand()
