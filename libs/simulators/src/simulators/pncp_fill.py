"""Completes a flattened PNCP record: what the copy lacked is filled by rule and seed, what it had is never changed."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from simulators.recordings import Record, draw, ibge_codes, pick, recorded, uf_names

MODALIDADES: Final = {
    1: "Leilão - Eletrônico",
    2: "Diálogo Competitivo",
    3: "Concurso",
    4: "Concorrência - Eletrônica",
    5: "Concorrência - Presencial",
    6: "Pregão - Eletrônico",
    7: "Pregão - Presencial",
    8: "Dispensa",
    9: "Inexigibilidade",
    10: "Manifestação de Interesse",
    11: "Pré-qualificação",
    12: "Credenciamento",
    13: "Leilão - Presencial",
    14: "Inaplicabilidade da Licitação",
    15: "Chamada pública",
}
SITUACOES: Final = {1: "Divulgada no PNCP", 2: "Revogada", 3: "Anulada", 4: "Suspensa"}
MODOS: Final = {
    1: "Aberto",
    2: "Fechado",
    3: "Aberto-Fechado",
    4: "Dispensa Com Disputa",
    5: "Não se aplica",
    6: "Fechado-Aberto",
}
AMPAROS: Final[dict[int, Record]] = {
    1: {
        "codigo": 1,
        "nome": "Lei 14.133/2021, Art. 28, I",
        "descricao": "pregão: modalidade de licitação obrigatória para aquisição de bens e serviços comuns",
    },
    2: {
        "codigo": 2,
        "nome": "Lei 14.133/2021, Art. 28, II ",
        "descricao": "concorrência: modalidade de licitação para contratação de bens e serviços especiais e de obras e "
        "serviços comuns e especiais de engenharia",
    },
    4: {
        "codigo": 4,
        "nome": "Lei 14.133/2021, Art. 28, IV",
        "descricao": "Leilão: modalidade de licitação para alienação de bens imóveis ou de bens móveis inservíveis ou "
        "legalmente apreendidos a quem oferecer o maior lance",
    },
    19: {
        "codigo": 19,
        "nome": "Lei 14.133/2021, Art. 75, II",
        "descricao": "Dispensa de Licitação: para contratação que envolva valores inferiores a R$ 50.000,00 (cinquenta "
        "mil reais), no caso de outros serviços e compras",
    },
    50: {
        "codigo": 50,
        "nome": "Lei 14.133/2021, Art. 74, caput",
        "descricao": "Inexigibilidade: é inexigível a licitação quando inviável a competição",
    },
    140: {
        "codigo": 140,
        "nome": "Lei 14.133/2021, Art. 79, I",
        "descricao": "Credenciamento: na hipótese de contratação paralela e não excludente: caso em que é viável e "
        "vantajosa para a Administração a realização de contratações simultâneas em condições padronizadas.",
    },
}
AMPARO_OF: Final = {1: 4, 4: 2, 5: 2, 6: 1, 7: 1, 8: 19, 9: 50, 13: 4}
MODO_WEIGHTS: Final[dict[int, dict[int, float]]] = {
    1: {1: 9, 6: 2},
    4: {1: 35, 3: 3, 2: 1},
    5: {6: 8, 1: 11, 3: 4, 2: 2},
    6: {3: 772, 1: 479, 6: 2},
    7: {1: 3, 3: 1},
    8: {4: 3, 5: 1},
    13: {1: 1},
}
OPEN_DAYS: Final[dict[int, tuple[int, int]]] = {
    4: (12, 40),
    5: (12, 40),
    6: (9, 21),
    7: (9, 21),
    8: (3, 7),
    12: (90, 360),
}
UNKNOWN_MODALIDADE: Final[dict[int, float]] = {6: 62, 8: 26, 4: 5, 9: 4, 12: 2, 7: 1}
REGISTRO_DE_PRECOS: Final = re.compile(r"registro\s+de\s+pre[çc]", re.IGNORECASE)
DISPENSA_LIMIT: Final = 125_000.0  # about the legal ceiling of a dispensa por valor
MODALIDADE_WORDS: Final = (
    (re.compile(r"\bdispensa\b", re.IGNORECASE), 8),
    (re.compile(r"\binexigibilidade\b", re.IGNORECASE), 9),
    (re.compile(r"\bcredenciamento\b", re.IGNORECASE), 12),
    (re.compile(r"\bpreg[ãa]o presencial\b", re.IGNORECASE), 7),
    (re.compile(r"\bpreg[ãa]o\b", re.IGNORECASE), 6),
    (re.compile(r"\bconcorr[êe]ncia\b", re.IGNORECASE), 4),
    (re.compile(r"\bleil[ãa]o\b", re.IGNORECASE), 1),
)
SIGLA_MODALIDADE: Final = {"RPE": 6, "PE": 6, "CPMP": 4, "CPTP": 4, "CPMD": 4, "CRED": 12, "DE": 8, "LE": 1}
PCP_LINK: Final = re.compile(
    r"portaldecompraspublicas\.com\.br/processos(/.*/([A-Za-z]+)-[^/]*-(\d+))/?$", re.IGNORECASE
)
PLATFORMS: Final = {
    "serpro.gov.br": "Compras.gov.br",
    "portaldecompraspublicas": "Portal de Compras Públicas",
    "licitanet": "LICITANET",
    "bnccompras": "BNC",
    "bllcompras": "BLL Compras",
    "bb.com.br": "Licitações-e",
    "licitardigital": "Licitar Digital",
    "ammlicita": "AMM Licita",
    "comprasbr": "ComprasBR",
}
OTHER_PLATFORMS: Final[dict[str, float]] = {
    "Compras.gov.br": 55,
    "Portal de Compras Públicas": 15,
    "BLL Compras": 10,
    "LICITANET": 8,
    "Betha Sistemas": 6,
    "PROCERGS": 3,
    "Governança Brasil": 3,
}
MINUTE_ONLY, DAY_ONLY = 16, 10


@cache
def uf_of_root() -> dict[str, tuple[str, str]]:
    """The (UF, municipio) where each CNPJ root is seen most, for records whose copy lost the place."""
    seen: dict[str, Counter[tuple[str, str]]] = {}
    for name in ("pncp_contratacoes", "pncp_contratacoes_partial", "pncp_itens_partial"):
        for row in recorded(name):
            unit = row.get("unidadeOrgao", {})
            if unit.get("ufSigla"):
                seen.setdefault(row["numeroControlePNCP"][:8], Counter())[unit["ufSigla"], unit["municipioNome"]] += 1
    return {root: min(places, key=lambda place: (-places[place], place)) for root, places in seen.items()}


def local_time(text: str | None, *key: object) -> str | None:
    """`yyyy-MM-ddTHH:mm:ss` without offset, from whatever precision the copy kept; a lone day gets a seeded hour."""
    if not text:
        return None
    if len(text) == DAY_ONLY:
        minute = int(draw(*key, "hora") * 600)
        return f"{text}T{8 + minute // 60:02}:{minute % 60:02}:00"
    return f"{text}:00" if len(text) == MINUTE_ONLY else text[:19]


def modalidade_of(record: Record, seed: int) -> int:
    """The recorded code, else that of the recorded name, of the link's own code, of a word in the text, else seeded."""
    if code := record.get("modalidadeId"):
        return int(code)
    if name := record.get("modalidadeNome"):
        return next(code for code, known in MODALIDADES.items() if known == name)
    if (link := PCP_LINK.search(record.get("linkSistemaOrigem") or "")) and link[2].upper() in SIGLA_MODALIDADE:
        return SIGLA_MODALIDADE[link[2].upper()]
    for word, code in MODALIDADE_WORDS:
        if word.search(record["objetoCompra"]):
            return code
    if REGISTRO_DE_PRECOS.search(record["objetoCompra"]) or record.get("valorTotalEstimado", 0.0) > DISPENSA_LIMIT:
        return 6
    return pick(UNKNOWN_MODALIDADE, seed, record["numeroControlePNCP"], "modalidade")


def completed(record: Record, seed: int) -> Record:
    """One record with every key of the list payload, each of the payload's type."""
    key = record["numeroControlePNCP"]
    modalidade = modalidade_of(record, seed)
    # Modalidades met only in the tail (2, 3, 10, 11, 14, 15) are treated as chamamentos.
    instrumento = {8: (2, "Aviso de Contratação Direta"), 9: (3, "Ato que autoriza a Contratação Direta")}
    chamamento = (4, "Edital de Chamamento Público") if modalidade not in AMPARO_OF else (1, "Edital")
    instrumento_id, instrumento_nome = instrumento.get(modalidade, chamamento)
    modo = record.get("modoDisputaId") or pick(MODO_WEIGHTS.get(modalidade, {5: 1.0}), seed, key, "modo")
    situacao = record.get("situacaoCompraNome") or "Divulgada no PNCP"
    filled: dict[str, Any] = {
        "valorTotalEstimado": 0.0,
        "valorTotalHomologado": None,
        "numeroCompra": str(int(draw(seed, key, "numero") * 120) + 1),
        "processo": f"{int(draw(seed, key, 'processo') * 9000) + 100}/{record['anoCompra']}",
        "informacaoComplementar": "",
        "orgaoSubRogado": None,
        "unidadeSubRogada": None,
        "modoDisputaNome": MODOS[modo],
        "tipoInstrumentoConvocatorioCodigo": instrumento_id,
        "tipoInstrumentoConvocatorioNome": instrumento_nome,
        "amparoLegal": AMPAROS[AMPARO_OF.get(modalidade, 140)],
        "srp": bool(REGISTRO_DE_PRECOS.search(record["objetoCompra"])),
        "situacaoCompraId": next(code for code, name in SITUACOES.items() if name == situacao),
        "linkSistemaOrigem": None,
        "linkProcessoEletronico": None,
        "justificativaPresencial": None,
        "fontesOrcamentarias": [],
        "emendaParlamentar": None,
    }
    return {
        **filled,
        **record,
        "modalidadeId": modalidade,
        "modalidadeNome": MODALIDADES[modalidade],
        "modoDisputaId": modo,
        "situacaoCompraNome": situacao,
        "orgaoEntidade": {**orgao_fill(key, seed), **record["orgaoEntidade"]},
        "unidadeOrgao": unidade(record, seed),
        "usuarioNome": record.get("usuarioNome") or usuario(record.get("linkSistemaOrigem"), seed, key),
        **dates(record, modalidade, seed),
    }


def orgao_fill(key: str, seed: int) -> Record:
    """Poder and esfera in the shares measured on the raw records."""
    shares = {
        ("N", "M"): 992.0,
        ("E", "E"): 158.0,
        ("E", "M"): 144.0,
        ("E", "F"): 26.0,
        ("J", "F"): 7.0,
        ("N", "N"): 10.0,
    }
    poder, esfera = pick(shares, seed, key[:14], "esfera")
    return {"poderId": poder, "esferaId": esfera}


def unidade(record: Record, seed: int) -> Record:
    """The buying unit, its place found by the orgao's CNPJ root when the copy lost it."""
    unit = record["unidadeOrgao"]
    sigla, municipio = unit.get("ufSigla"), unit.get("municipioNome")
    if not sigla:
        sigla, municipio = uf_of_root().get(record["numeroControlePNCP"][:8], ("SP", "São Paulo"))
    key = record["orgaoEntidade"]["cnpj"]
    ibge = ibge_codes().get((sigla, municipio)) or min(code for (uf, _), code in ibge_codes().items() if uf == sigla)
    filled = {
        "codigoUnidade": str(int(draw(seed, key, "unidade") * 900_000) + 100_000),
        "nomeUnidade": record["orgaoEntidade"]["razaoSocial"],
        "codigoIbge": ibge,
    }
    return {**filled, **unit, "municipioNome": municipio, "ufSigla": sigla, "ufNome": uf_names()[sigla]}


def usuario(link: str | None, seed: int, key: str) -> str:
    """The publishing platform, by the host of the link, else seeded."""
    for host, name in PLATFORMS.items():
        if host in (link or "").lower():
            return name
    return pick(OTHER_PLATFORMS, seed, key, "usuario")


def dates(record: Record, modalidade: int, seed: int) -> Record:
    """The record's own times in the payload's format; missing ones lie where the raw records have them."""
    key = (seed, record["numeroControlePNCP"])
    abertura = local_time(record.get("dataAberturaProposta"), *key, "abertura")
    encerramento = local_time(record.get("dataEncerramentoProposta"), *key, "encerramento")
    published = local_time(record.get("dataPublicacaoPncp"), *key, "publicacao")
    shortest, longest = OPEN_DAYS.get(modalidade, (9, 21))
    open_for = timedelta(days=shortest + int(draw(*key, "prazo") * (longest - shortest + 1)))
    if published is None and abertura is not None:
        published = f"{abertura[:10]}T07:{int(draw(*key, 'minuto') * 60):02}:{int(draw(*key, 'segundo') * 60):02}"
    if published is None and encerramento is not None:
        published = f"{(datetime.fromisoformat(encerramento) - open_for).date()}T08:30:00"
    if published is None:
        minute = int(draw(*key, "hora") * 600)
        published = f"{record['anoCompra']}-06-15T{7 + minute // 60:02}:{minute % 60:02}:{int(draw(*key, 's') * 60):02}"
    if modalidade not in {9, 14}:
        abertura = abertura or f"{published[:10]}T08:00:00"
        encerramento = (
            encerramento or f"{(datetime.fromisoformat(max(published, abertura)) + open_for).date()}T09:00:00"
        )
    updated = local_time(record.get("dataAtualizacao")) or published
    return {
        "dataAberturaProposta": abertura,
        "dataEncerramentoProposta": encerramento,
        "dataPublicacaoPncp": published,
        "dataInclusao": local_time(record.get("dataInclusao")) or published,
        "dataAtualizacao": updated,
        "dataAtualizacaoGlobal": local_time(record.get("dataAtualizacaoGlobal")) or updated,
    }
