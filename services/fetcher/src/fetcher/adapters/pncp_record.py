"""One record of PNCP's lists, and the licitação that it becomes."""

from decimal import Decimal
from typing import Any

from pydantic import Field, field_validator

from contracts.places import UF
from contracts.values import Cnpj, Esfera, Licitacao, Modalidade, Situacao, Source
from fetcher.adapters.once import Oddities
from fetcher.adapters.wire import BrasiliaMoment, Wire
from fetcher.domain.text import folded, moment, reais, web_link, without_platform

SITUACOES = {1: Situacao.DIVULGADA, 2: Situacao.REVOGADA, 3: Situacao.ANULADA, 4: Situacao.SUSPENSA}
NUMERO_CONTROLE = r"^[0-9A-Z]{14}-1-[0-9]{6}/[0-9]{4}$"


class Orgao(Wire):
    """`orgaoEntidade`."""

    cnpj: Cnpj
    nome: str = Field(alias="razaoSocial", min_length=1)
    esfera: str | None = Field(default=None, alias="esferaId")


class Unidade(Wire):
    """`unidadeOrgao`; `codigoIbge` is a string, an integer on the other base."""

    nome: str | None = Field(default=None, alias="nomeUnidade")
    municipio: str | None = Field(default=None, alias="municipioNome")
    ibge: str | int | None = Field(default=None, alias="codigoIbge")
    uf: str | None = Field(default=None, alias="ufSigla")


class Contratacao(Wire):
    """An element of `data[]`. Required is what a bid cannot be without; the rest may be missing or null."""

    numero_controle: str = Field(alias="numeroControlePNCP", pattern=NUMERO_CONTROLE)
    objeto: str = Field(alias="objetoCompra", pattern=r"\S")
    complemento: str | None = Field(default=None, alias="informacaoComplementar")
    orgao: Orgao = Field(alias="orgaoEntidade")
    unidade: Unidade = Field(default=Unidade(), alias="unidadeOrgao")
    modalidade: int = Field(alias="modalidadeId")
    modalidade_nome: str | None = Field(default=None, alias="modalidadeNome")
    numero: str | None = Field(default=None, alias="numeroCompra")
    processo: str | None = None
    srp: bool | None = None
    valor: Decimal | None = Field(default=None, alias="valorTotalEstimado")
    publicacao: BrasiliaMoment = Field(alias="dataPublicacaoPncp")
    abertura: str | None = Field(default=None, alias="dataAberturaProposta")
    encerramento: str | None = Field(default=None, alias="dataEncerramentoProposta")
    atualizacao: str | None = Field(default=None, alias="dataAtualizacao")
    atualizacao_global: str | None = Field(default=None, alias="dataAtualizacaoGlobal")
    situacao: int | None = Field(default=None, alias="situacaoCompraId")
    link: str | None = Field(default=None, alias="linkSistemaOrigem")

    @field_validator("unidade", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return Unidade() if value is None else value


def to_licitacao(record: Contratacao, *, asked_uf: UF | None, oddities: Oddities) -> Licitacao:
    """The record in the words that both sources share; pydantic.ValidationError when it cannot be one."""
    cnpj, _, rest = record.numero_controle.partition("-1-")
    sequencial, _, ano = rest.partition("/")
    texto = folded(record.objeto) or ""
    ibge = str(record.unidade.ibge or "")
    return Licitacao(
        id=record.numero_controle,
        source=Source.PNCP,
        uf=_uf(record.unidade.uf, asked_uf, oddities),
        municipio=folded(record.unidade.municipio),
        municipio_ibge=ibge if len(ibge) == 7 and ibge.isdecimal() else None,  # noqa: PLR2004 - IBGE's codes have 7 digits
        orgao=folded(record.orgao.nome) or "",
        unidade=folded(record.unidade.nome),
        cnpj=record.orgao.cnpj,
        esfera=_esfera(record.orgao.esfera, oddities),
        modalidade=_modalidade(record.modalidade, oddities),
        modalidade_nome=folded(record.modalidade_nome) or _modalidade(record.modalidade, oddities).nome,
        numero=folded(record.numero),
        processo=folded(record.processo),
        objeto=without_platform(texto),
        objeto_truncado=False,
        informacao_complementar=folded(record.complemento),
        srp=record.srp,
        valor_estimado=reais(record.valor),
        data_publicacao=record.publicacao,
        data_abertura=moment(record.abertura),
        data_encerramento=moment(record.encerramento),
        data_atualizacao=moment(record.atualizacao_global) or moment(record.atualizacao),
        situacao=_situacao(record.situacao, oddities),
        link=f"https://pncp.gov.br/app/editais/{cnpj}/{int(ano)}/{int(sequencial)}",
        link_origem=web_link(record.link),
    )


def _uf(sigla: str | None, asked: UF | None, oddities: Oddities) -> UF:
    try:
        return UF((sigla or "").strip().upper())
    except ValueError:
        oddities.unknown("ufSigla", sigla)
        return asked or UF.XX


def _modalidade(code: int, oddities: Oddities) -> Modalidade:
    try:
        return Modalidade(code)
    except ValueError:
        oddities.unknown("modalidadeId", code)
        return Modalidade.OUTRA


def _esfera(code: str | None, oddities: Oddities) -> Esfera | None:
    if not code:
        return None
    try:
        return Esfera(code)
    except ValueError:
        oddities.unknown("esferaId", code)
        return None


def _situacao(code: int | None, oddities: Oddities) -> Situacao:
    if code not in SITUACOES:
        oddities.unknown("situacaoCompraId", code)
    return SITUACOES.get(code or 0, Situacao.DESCONHECIDA)
