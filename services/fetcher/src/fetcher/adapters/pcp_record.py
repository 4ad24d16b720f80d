"""One record of Portal de Compras Públicas' national list, and the licitação that it becomes."""

import re
import unicodedata
from typing import Any

from pydantic import Field, field_validator

from contracts.places import UF
from contracts.values import Licitacao, Modalidade, Situacao, Source, pcp_id
from fetcher.adapters.once import Oddities
from fetcher.adapters.wire import UtcMoment, Wire
from fetcher.domain.text import folded, moment, web_link, without_platform

PUBLIC_PAGE = "https://www.portaldecompraspublicas.com.br/processos"
CUT = ("...", "…")
"""How a resumo ends that was cut at about 250 characters."""

# From the words of `tipoLicitacao`, folded; what is not here becomes `outra`. Presencial is a field of its own.
MODALIDADES: dict[str, tuple[Modalidade, Modalidade]] = {
    "pregao": (Modalidade.PREGAO_ELETRONICO, Modalidade.PREGAO_PRESENCIAL),
    "pregao eletronico": (Modalidade.PREGAO_ELETRONICO, Modalidade.PREGAO_PRESENCIAL),
    "pregao presencial": (Modalidade.PREGAO_PRESENCIAL, Modalidade.PREGAO_PRESENCIAL),
    "pregao para registro de preco": (Modalidade.PREGAO_ELETRONICO, Modalidade.PREGAO_PRESENCIAL),
    "pregao para registro de precos": (Modalidade.PREGAO_ELETRONICO, Modalidade.PREGAO_PRESENCIAL),
    "concorrencia": (Modalidade.CONCORRENCIA_ELETRONICA, Modalidade.CONCORRENCIA_PRESENCIAL),
    "concorrencia eletronica": (Modalidade.CONCORRENCIA_ELETRONICA, Modalidade.CONCORRENCIA_PRESENCIAL),
    "concorrencia presencial": (Modalidade.CONCORRENCIA_PRESENCIAL, Modalidade.CONCORRENCIA_PRESENCIAL),
    "concorrencia para registro de preco": (Modalidade.CONCORRENCIA_ELETRONICA, Modalidade.CONCORRENCIA_PRESENCIAL),
    "dispensa": (Modalidade.DISPENSA, Modalidade.DISPENSA),
    "dispensa eletronica": (Modalidade.DISPENSA, Modalidade.DISPENSA),
    "dispensa de licitacao": (Modalidade.DISPENSA, Modalidade.DISPENSA),
    "inexigibilidade": (Modalidade.INEXIGIBILIDADE, Modalidade.INEXIGIBILIDADE),
    "credenciamento": (Modalidade.CREDENCIAMENTO, Modalidade.CREDENCIAMENTO),
    "leilao": (Modalidade.LEILAO_ELETRONICO, Modalidade.LEILAO_PRESENCIAL),
    "leilao eletronico": (Modalidade.LEILAO_ELETRONICO, Modalidade.LEILAO_PRESENCIAL),
    "leilao presencial": (Modalidade.LEILAO_PRESENCIAL, Modalidade.LEILAO_PRESENCIAL),
    "concurso": (Modalidade.CONCURSO, Modalidade.CONCURSO),
    "dialogo competitivo": (Modalidade.DIALOGO_COMPETITIVO, Modalidade.DIALOGO_COMPETITIVO),
    "pre-qualificacao": (Modalidade.PRE_QUALIFICACAO, Modalidade.PRE_QUALIFICACAO),
    "chamada publica": (Modalidade.CHAMADA_PUBLICA, Modalidade.CHAMADA_PUBLICA),
    "chamada publica da agricultura familiar": (Modalidade.CHAMADA_PUBLICA, Modalidade.CHAMADA_PUBLICA),
    "chamamento publico": (Modalidade.CHAMADA_PUBLICA, Modalidade.CHAMADA_PUBLICA),
}

# By the first word of a status. "Encerrado" means that the session is over while the judging goes on.
SITUACOES: dict[str, Situacao] = {
    **dict.fromkeys(
        ("recebendo", "sessao", "em", "habilitacao", "negociacao", "iminencia", "aguardando", "publicado"),
        Situacao.DIVULGADA,
    ),
    **dict.fromkeys(
        ("encerrado", "homologado", "adjudicado", "finalizado", "fracassado", "deserto"), Situacao.ENCERRADA
    ),
    "revogado": Situacao.REVOGADA,
    "anulado": Situacao.ANULADA,
    "cancelado": Situacao.ANULADA,
    "suspenso": Situacao.SUSPENSA,
}


class Tipo(Wire):
    """`tipoLicitacao`; its code is 0 almost always, so that the words decide."""

    modalidade: str | None = Field(default=None, alias="modalidadeLicitacao")
    tipo: str | None = Field(default=None, alias="tipoLicitacao")
    realizacao: str | None = Field(default=None, alias="tipoRealizacao")


class Unidade(Wire):
    """`unidadeCompradora`; it names no IBGE code."""

    nome: str | None = Field(default=None, alias="nomeUnidadeCompradora")
    cidade: str | None = None
    uf: str | None = None


class Status(Wire):
    """`statusProcessoPublico` and `status`."""

    descricao: str | None = None


class Processo(Wire):
    """An element of `result[]`. Required is what a bid cannot be without; the rest may be missing or null."""

    codigo: int = Field(alias="codigoLicitacao", ge=1)
    resumo: str = Field(pattern=r"\S")
    numero: str | None = None
    identificacao: str | None = None
    orgao: str | None = Field(default=None, alias="razaoSocial")
    unidade: Unidade = Field(default=Unidade(), alias="unidadeCompradora")
    tipo: Tipo = Field(default=Tipo(), alias="tipoLicitacao")
    publicacao: UtcMoment = Field(alias="dataHoraPublicacao")
    inicio_propostas: str | None = Field(default=None, alias="dataHoraInicioPropostas")
    final: str | None = Field(default=None, alias="dataHoraFinalPropostas")
    status_publico: Status = Field(default=Status(), alias="statusProcessoPublico")
    status: Status = Status()
    url: str | None = Field(default=None, alias="urlReferencia")

    @field_validator("unidade", "tipo", "status_publico", "status", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value


def to_licitacao(record: Processo, *, oddities: Oddities) -> Licitacao:
    """The record in the words that both sources share: no CNPJ, no value, times already UTC."""
    texto = without_platform(folded(record.resumo) or "")
    modalidade = _modalidade(record.tipo, oddities)
    tipo = folded(record.tipo.tipo) or ""
    return Licitacao(
        id=pcp_id(record.codigo),
        source=Source.PCP,
        uf=_uf(record.unidade.uf, oddities),
        municipio=folded(record.unidade.cidade),
        orgao=folded(record.orgao) or folded(record.unidade.nome) or "",
        unidade=folded(record.unidade.nome),
        modalidade=modalidade,
        modalidade_nome=folded(record.tipo.modalidade) or tipo or modalidade.nome,
        numero=folded(record.numero) or folded(record.identificacao),
        objeto=texto,
        objeto_truncado=texto.endswith(CUT),
        srp=True if "registro de preco" in _plain(f"{record.tipo.modalidade} {tipo}") else None,
        data_publicacao=record.publicacao,
        data_abertura=moment(record.inicio_propostas, naive_is_utc=True),
        data_encerramento=moment(record.final, naive_is_utc=True),
        situacao=_situacao(record.status_publico.descricao or record.status.descricao, oddities),
        link=_page(record.url),
    )


def _plain(text: str) -> str:
    """Lower case, no accents, single blanks: how the tables above spell."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(bare.split())


def _modalidade(tipo: Tipo, oddities: Oddities) -> Modalidade:
    words = _plain(tipo.modalidade or tipo.tipo or "")
    known = MODALIDADES.get(words)
    if known is None:
        oddities.unknown("modalidadeLicitacao", tipo.modalidade or tipo.tipo)
        return Modalidade.OUTRA
    return known[_plain(tipo.realizacao or "") == "presencial"]


def _situacao(words: str | None, oddities: Oddities) -> Situacao:
    first = re.split(r"[^a-z]", _plain(words or ""), maxsplit=1)[0]
    if first not in SITUACOES:
        oddities.unknown("statusProcessoPublico", words)
    return SITUACOES.get(first, Situacao.DESCONHECIDA)


def _uf(sigla: str | None, oddities: Oddities) -> UF:
    bare = (sigla or "").strip().upper()
    try:
        return UF(bare) if bare else UF.XX
    except ValueError:
        oddities.unknown("uf", sigla)
        return UF.XX


def _page(reference: str | None) -> str | None:
    """The public page; a reference lies below `/processos`, which is easily forgotten."""
    bare = (reference or "").strip()
    return web_link(f"{PUBLIC_PAGE}{bare}") if bare.startswith("/") else None
