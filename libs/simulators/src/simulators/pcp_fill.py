"""Completes a flattened PCP v2 listing, and writes the PCP side of a PNCP record that links there."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from simulators.pncp_fill import PCP_LINK
from simulators.recordings import Record, draw, pick

UTC_AHEAD: Final = timedelta(hours=3)
RESUMO_LIMIT: Final = 250
EXCLUSIVE_SHARE: Final = 0.15
PREFIX: Final = re.compile(r"^\[[^\]]+\]\s*-\s*")
REFERENCE: Final = re.compile(
    r"^/(?P<uf>[a-z]{2})/.*?-(?P<comprador>\d+)/(?P<sigla>[a-z]+)-(?P<rest>.*)-(?P<codigo>\d+)$"
)
TIPOS: Final[dict[str, tuple[str, str]]] = {
    "PE": ("Pregão", "Pregão Eletrônico"),
    "PEP": ("Pregão", "Pregão Eletrônico"),
    "PP": ("Pregão", "Pregão Presencial"),
    "PMP": ("Pregão", "Pregão Presencial"),
    "RPE": ("Pregão para Registro de Preço", "Registro de Preços Eletrônico"),
    "RPEM": ("Pregão para Registro de Preço", "Registro de Preços Eletrônico"),
    "CPMP": ("Concorrência", "Concorrência - Menor Preço"),
    "CPMD": ("Concorrência", "Concorrência - Maior Desconto"),
    "CPTP": ("Concorrência", "Concorrência - Técnica e Preço"),
    "CRED": ("Credenciamento", "Credenciamento"),
    "DE": ("Dispensa", "Dispensa Eletrônica"),
    "LE": ("Leilão Eletrônico", "Leilão Eletrônico"),
}
AFTER_THE_SESSION: Final[dict[tuple[int, str], float]] = {
    (2, "Em disputa"): 6,
    (2, "Em análise"): 20,
    (2, "Em julgamento"): 12,
    (2, "Habilitação"): 14,
    (3, "Encerrado"): 16,
    (3, "Homologado"): 14,
    (3, "Adjudicado"): 6,
    (3, "Fracassado"): 4,
    (3, "Deserto"): 4,
    (3, "Revogado"): 2,
    (3, "Suspenso"): 2,
}


def utc(text: str | None) -> str | None:
    """A PNCP time (Brasília, no offset) as PCP writes it: UTC with Z."""
    return f"{(datetime.fromisoformat(text) + UTC_AHEAD).isoformat()}Z" if text else None


def local(text: str) -> str:
    """A PCP time as PNCP writes it: Brasília, without offset."""
    return (datetime.fromisoformat(text[:19]) - UTC_AHEAD).isoformat()


def resumo_of(objeto: str) -> str:
    """The objeto as the listing shows it: no platform prefix, cut at a word near 250 characters."""
    text = PREFIX.sub("", objeto).strip()
    if len(text) <= RESUMO_LIMIT:
        return text
    return text[:RESUMO_LIMIT].rsplit(" ", 1)[0].rstrip(",;. ") + "..."


def from_pncp(pncp: Record) -> Record | None:
    """The listing of the bid that a PNCP record's link names; None when the link names none."""
    link = PCP_LINK.search(pncp.get("linkSistemaOrigem") or "")
    if link is None:
        return None
    sigla = link[2].upper()
    modalidade = TIPOS.get(sigla, (pncp["modalidadeNome"].split(" - ")[0], ""))[0]
    return {
        "codigoLicitacao": int(link[3]),
        "resumo": resumo_of(pncp["objetoCompra"]),
        "tipoLicitacao": {"modalidadeLicitacao": modalidade},
        "dataHoraInicioPropostas": utc(pncp["dataAberturaProposta"]),
        "dataHoraFinalPropostas": utc(pncp["dataEncerramentoProposta"]),
        "dataHoraPublicacao": utc(pncp["dataPublicacaoPncp"]),
        "unidadeCompradora": {
            "nomeUnidadeCompradora": pncp["orgaoEntidade"]["razaoSocial"].title(),
            "cidade": pncp["unidadeOrgao"]["municipioNome"],
            "uf": pncp["unidadeOrgao"]["ufSigla"],
        },
        "urlReferencia": link[1].lower(),
    }


def completed_listing(record: Record, seed: int) -> Record:
    """One listing with every key of the envelope's records; status is left to the day it is read on."""
    codigo = record["codigoLicitacao"]
    unit = record["unidadeCompradora"]
    reference = REFERENCE.match(record.get("urlReferencia", ""))
    sigla = reference["sigla"].upper() if reference else None
    numero = _numero(reference["rest"]) if reference else f"{int(draw(seed, codigo, 'numero') * 90) + 1}/2026"
    modalidade = record["tipoLicitacao"]["modalidadeLicitacao"]
    published = record.get("dataHoraPublicacao")
    if published is None:
        # The raw listings were published minutes to five days before proposals opened.
        before = timedelta(minutes=15 + int(draw(seed, codigo, "antes") * 2_880))
        published = f"{(datetime.fromisoformat(record['dataHoraInicioPropostas'][:19]) - before).isoformat()}Z"
    filled = {
        "numeroLicitacao": None,
        "identificacao": numero,
        "numero": numero,
        "razaoSocial": unit["nomeUnidadeCompradora"],
        "nomeUnidade": unit["nomeUnidadeCompradora"],
        "situacao": {"codigo": 0, "descricao": None},
        "codigoSituacaoEdital": 5,
        "codigoTratamentoDiferenciado": 1,
        "codigoSituacaoCadastroLicitacao": 2,
        "dataHoraInicioLances": record.get("dataHoraFinalPropostas"),
        "dataHoraFinalLances": None,
        "dataHoraPublicacao": published,
        "isPublicado": False,
        "comprador": None,
        "isExclusivoME": draw(seed, codigo, "me") < EXCLUSIVE_SHARE,
        "isBeneficoLocal": False,
        "urlReferencia": f"/{unit['uf'].lower()}/orgao-{codigo % 9000}/pe-{codigo % 900 + 1}-2026-2026-{codigo}",
    }
    tipo = {
        "codigoModalidadeLicitacao": 0,
        "modalidadeLicitacao": modalidade,
        "codigoTipoLicitacao": 3,
        "siglaTipoLicitacao": sigla,
        "tipoLicitacao": TIPOS.get(sigla or "", (modalidade, modalidade))[1],
        "tipoRealizacao": "Presencial" if sigla in {"PP", "PMP"} else "Eletrônico",
        "tipoJulgamento": "Menor Preço",
    }
    comprador = {
        "codigoUnidadeCompradora": int(draw(seed, unit["nomeUnidadeCompradora"]) * 9_000) + 1_000,
        "codigoComprador": int(reference["comprador"]) if reference else codigo % 9_000,
        "nomeComprador": None,
        "codigoMunicipioIbge": None,
    }
    return {
        **filled,
        **record,
        "tipoLicitacao": {**tipo, **record["tipoLicitacao"]},
        "unidadeCompradora": {**comprador, **unit},
    }


def status_on(final: str | None, recorded: Record | None, today: str, *key: object) -> Record:
    """`status` and `statusProcessoPublico`: receiving until proposals end, afterwards one of the words seen."""
    if final is None or final[:10] >= today:
        status = recorded or {"codigo": 1, "descricao": "Recebendo Propostas"}
    else:
        codigo, descricao = pick(AFTER_THE_SESSION, *key, "status")
        status = {"codigo": codigo, "descricao": descricao}
    return {"status": status, "statusProcessoPublico": status}


def _numero(rest: str) -> str:
    """`28/2026` from the middle of a reference such as `28-2026-2026`."""
    parts = rest.split("-")
    return f"{'-'.join(parts[:-2])}/{parts[-2]}".upper() if len(parts) > 2 else rest.upper()  # noqa: PLR2004 - number, year, year
