"""The words that a search can be asked in."""

from fastapi import APIRouter
from pydantic import BaseModel

from contracts.places import UFS
from contracts.query import DEFAULT_DAYS, DEFAULT_MODALIDADES, MAX_DAYS, Scope, Sort
from contracts.sectors import SECTORS
from contracts.values import MODALIDADES, Esfera
from contracts.verdict import Confidence, ViabilityLevel
from gateway.routes.describing import problems

router = APIRouter(prefix="/v1", tags=["vocabulário"], responses=problems("key.missing", "key.wrong"))


class Named(BaseModel):
    """A code and what people call it."""

    id: str
    name: str


class NamedUf(BaseModel):
    """A federative unit."""

    sigla: str
    nome: str
    regiao: str


class NamedModalidade(BaseModel):
    """A modalidade of the law."""

    id: int
    nome: str
    default: bool
    """Whether a search that names none asks for it."""


class Sectors(BaseModel):
    """The sectors that a search can name."""

    sectors: tuple[Named, ...]


class Vocabulary(BaseModel):
    """Everything that a search form needs."""

    sectors: tuple[Named, ...]
    ufs: tuple[NamedUf, ...]
    modalidades: tuple[NamedModalidade, ...]
    esferas: tuple[Named, ...]
    sorts: tuple[Named, ...]
    confidences: tuple[Named, ...]
    viabilities: tuple[Named, ...]
    scopes: tuple[str, ...]
    default_days: int
    max_days: int


_ESFERAS = {
    Esfera.FEDERAL: "Federal",
    Esfera.ESTADUAL: "Estadual",
    Esfera.MUNICIPAL: "Municipal",
    Esfera.DISTRITAL: "Distrital",
}
_SORTS = {
    Sort.RELEVANCE: "Relevância",
    Sort.VIABILITY: "Viabilidade",
    Sort.CLOSING: "Prazo para propostas",
    Sort.PUBLISHED: "Publicação mais recente",
    Sort.VALUE: "Maior valor",
}
_CONFIDENCES = {Confidence.HIGH: "Alta", Confidence.MEDIUM: "Média", Confidence.LOW: "Baixa"}
_VIABILITIES = {ViabilityLevel.ALTA: "Alta", ViabilityLevel.MEDIA: "Média", ViabilityLevel.BAIXA: "Baixa"}

SECTORS_DOCUMENT = Sectors(sectors=tuple(Named(id=sector, name=name) for sector, name in SECTORS.items()))
VOCABULARY = Vocabulary(
    sectors=SECTORS_DOCUMENT.sectors,
    ufs=tuple(NamedUf(sigla=uf, nome=uf.nome, regiao=uf.regiao or "") for uf in UFS),
    modalidades=tuple(
        NamedModalidade(id=modalidade, nome=modalidade.nome, default=modalidade in DEFAULT_MODALIDADES)
        for modalidade in MODALIDADES
    ),
    esferas=tuple(Named(id=code, name=name) for code, name in _ESFERAS.items()),
    sorts=tuple(Named(id=code, name=name) for code, name in _SORTS.items()),
    confidences=tuple(Named(id=code, name=name) for code, name in _CONFIDENCES.items()),
    viabilities=tuple(Named(id=code, name=name) for code, name in _VIABILITIES.items()),
    scopes=tuple(Scope),
    default_days=DEFAULT_DAYS,
    max_days=MAX_DAYS,
)


@router.get("/sectors", summary="Os setores")
async def sectors() -> Sectors:
    """The 30 sectors."""
    return SECTORS_DOCUMENT


@router.get("/vocabulary", summary="Tudo de que um formulário de busca precisa")
async def vocabulary() -> Vocabulary:
    """Sectors, UFs, modalidades and the other closed lists, with the names that people read."""
    return VOCABULARY
