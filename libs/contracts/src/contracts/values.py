"""The domain values that every service shares: the licitação and the words it is described by."""

import hashlib
import re
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainSerializer

from contracts.base import Value
from contracts.places import UF
from contracts.when import UtcDatetime, day_of


class Source(StrEnum):
    """A national source. People are never shown these names (C01); admin and API fields are."""

    PNCP = "pncp"
    PCP = "pcp"

    @property
    def national(self) -> bool:
        """Whether it only lists the whole country: PCP v2 ignores `uf`."""
        return self is Source.PCP


class Modalidade(IntEnum):
    """The modalidades of PNCP's domain table; `OUTRA` is a PCP modality that maps to none, always asked with it."""

    OUTRA = 0
    LEILAO_ELETRONICO = 1
    DIALOGO_COMPETITIVO = 2
    CONCURSO = 3
    CONCORRENCIA_ELETRONICA = 4
    CONCORRENCIA_PRESENCIAL = 5
    PREGAO_ELETRONICO = 6
    PREGAO_PRESENCIAL = 7
    DISPENSA = 8
    INEXIGIBILIDADE = 9
    MANIFESTACAO_DE_INTERESSE = 10
    PRE_QUALIFICACAO = 11
    CREDENCIAMENTO = 12
    LEILAO_PRESENCIAL = 13
    INAPLICABILIDADE = 14
    CHAMADA_PUBLICA = 15

    @property
    def nome(self) -> str:
        """Its name as PNCP writes it."""
        return _MODALIDADES[self]


_MODALIDADES = {
    Modalidade.OUTRA: "Outra modalidade",
    Modalidade.LEILAO_ELETRONICO: "Leilão - Eletrônico",
    Modalidade.DIALOGO_COMPETITIVO: "Diálogo Competitivo",
    Modalidade.CONCURSO: "Concurso",
    Modalidade.CONCORRENCIA_ELETRONICA: "Concorrência - Eletrônica",
    Modalidade.CONCORRENCIA_PRESENCIAL: "Concorrência - Presencial",
    Modalidade.PREGAO_ELETRONICO: "Pregão - Eletrônico",
    Modalidade.PREGAO_PRESENCIAL: "Pregão - Presencial",
    Modalidade.DISPENSA: "Dispensa",
    Modalidade.INEXIGIBILIDADE: "Inexigibilidade",
    Modalidade.MANIFESTACAO_DE_INTERESSE: "Manifestação de Interesse",
    Modalidade.PRE_QUALIFICACAO: "Pré-qualificação",
    Modalidade.CREDENCIAMENTO: "Credenciamento",
    Modalidade.LEILAO_PRESENCIAL: "Leilão - Presencial",
    Modalidade.INAPLICABILIDADE: "Inaplicabilidade da Licitação",
    Modalidade.CHAMADA_PUBLICA: "Chamada pública",
}

MODALIDADES: tuple[Modalidade, ...] = tuple(m for m in Modalidade if m is not Modalidade.OUTRA)
"""The 15 that a search can name."""


class Esfera(StrEnum):
    """The sphere of the órgão. `N` occurs in real records (14 of 1,976) and means that none was told."""

    FEDERAL = "F"
    ESTADUAL = "E"
    MUNICIPAL = "M"
    DISTRITAL = "D"
    NAO_INFORMADA = "N"


class Situacao(StrEnum):
    """What has become of a licitação, over both sources."""

    DIVULGADA = "divulgada"
    REVOGADA = "revogada"
    ANULADA = "anulada"
    SUSPENSA = "suspensa"
    ENCERRADA = "encerrada"
    DESCONHECIDA = "desconhecida"


class Priority(StrEnum):
    """Who wants a fetch: a waiting user before a refresh before the scheduled ingest."""

    USER = "user"
    REFRESH = "refresh"
    INGEST = "ingest"

    @property
    def rank(self) -> int:
        """0 goes first."""
        return (Priority.USER, Priority.REFRESH, Priority.INGEST).index(self)


_CNPJ = re.compile(r"^[0-9A-Z]{12}[0-9]{2}$")


def _cnpj(text: str) -> str:
    bare = re.sub(r"[./\-\s]", "", text).upper()
    if not _CNPJ.match(bare):
        raise ValueError("a CNPJ has 14 characters, the last two digits; letters are legal since July 2026")
    return bare


Cnpj = Annotated[str, AfterValidator(_cnpj)]
"""A CNPJ without punctuation, letters included. Check digits are not verified: sources publish wrong ones."""

Money = Annotated[
    Decimal,
    Field(ge=0, max_digits=18, decimal_places=4),
    PlainSerializer(lambda amount: format(amount, "f"), return_type=str, when_used="json"),
]
"""Reais as Decimal, a string in JSON so that no centavo is lost."""

BidId = Annotated[str, Field(min_length=5, max_length=40, pattern=r"^[0-9A-Z][0-9A-Z\-]*(/[0-9]{4})?$")]
"""`CNPJ-1-SEQ/ANO` as PNCP numbers it, or `PCP-<codigoLicitacao>`. Fits a URL path and a subject token."""

SearchId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""32 hexadecimal digits: one subject token, unguessable."""


def pncp_id(*, cnpj: str, sequencial: int, ano: int) -> str:
    """The identity of a contratação in PNCP: mask `99999999999999-1-999999/9999`."""
    return f"{_cnpj(cnpj)}-1-{sequencial:06d}/{ano:04d}"


def pcp_id(codigo_licitacao: int) -> str:
    """The identity of a processo in Portal de Compras Públicas, which has no CNPJ."""
    return f"PCP-{codigo_licitacao}"


class Licitacao(Value):
    """One licitação as either source publishes it, normalised. None always means that the source did not say."""

    id: BidId
    source: Source
    uf: UF
    municipio: str | None = None
    municipio_ibge: str | None = Field(default=None, pattern=r"^[0-9]{7}$")
    orgao: str
    unidade: str | None = None
    cnpj: Cnpj | None = None
    """None for PCP, whose list carries no CNPJ."""
    esfera: Esfera | None = None
    modalidade: Modalidade
    modalidade_nome: str
    """As the source wrote it."""
    numero: str | None = None
    processo: str | None = None
    objeto: str
    """White space folded, platform prefixes such as `[LICITANET] - ` kept out."""
    objeto_truncado: bool = False
    """True when the source cut the text (PCP's `resumo` ends in `...` at about 250 characters)."""
    informacao_complementar: str | None = None
    srp: bool | None = None
    valor_estimado: Money | None = None
    """In reais. None when unknown, hidden (orçamento sigiloso) or written as 0."""
    data_publicacao: UtcDatetime
    data_abertura: UtcDatetime | None = None
    data_encerramento: UtcDatetime | None = None
    data_atualizacao: UtcDatetime | None = None
    situacao: Situacao = Situacao.DIVULGADA
    link: str | None = None
    """The public page of the notice; http or https only."""
    link_origem: str | None = None
    """The page in the buyer's own system; the exact key to the same bid in the other source."""

    @property
    def day(self) -> date:
        """The publication day (America/Sao_Paulo): which slice it belongs to."""
        return day_of(self.data_publicacao)

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits over every field: equal bytes, equal content."""
        return hashlib.sha256(self.to_json()).hexdigest()[:16]


class Slice(Value):
    """The unit of what was looked at: source x UF x modalidade x publication day (None: the list `open today`)."""

    source: Source
    uf: UF
    modalidade: Modalidade
    day: date | None

    @property
    def key(self) -> str:
        """One word for it, for indexes and logs."""
        return f"{self.source}:{self.uf}:{int(self.modalidade)}:{self.day or 'open'}"

    @classmethod
    def of(cls, bid: Licitacao) -> Self:
        """The slice that a bid belongs to."""
        return cls(source=bid.source, uf=bid.uf, modalidade=bid.modalidade, day=bid.day)
