"""Packs a directory of recordings into the package's data; `python -m simulators.pack` when they change."""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections import Counter, defaultdict
from math import log
from pathlib import Path
from typing import Any

import typer

Record = dict[str, Any]

RECORDINGS = (
    "pncp_contratacoes",
    "pncp_contratacoes_partial",
    "pncp_itens",
    "pncp_itens_partial",
    "pncp_arquivos",
    "pcp_processos",
    "pcp_processos_partial",
    "cross_source_pairs",
)
PERSONAL = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[email removido]"),
    (re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)"), "[cpf removido]"),
    (re.compile(r"(?<![\d./-])(?:\(\d{2}\)|\d{2}\s)\s?9?\d{4}[- ]?\d{4}(?![\d/])"), "[telefone removido]"),
)
PLAIN_WORDS = frozenset(
    re.findall(
        r"\w+",
        """para contratacao empresa especializada servicos servico aquisicao registro precos preco fornecimento
        prestacao municipio municipal secretaria conforme eventual futura objeto atender material materiais condicoes
        quantidades exigencias estabelecidas edital anexos presente licitacao execucao referencia termo neste
        instrumento""",
    )
)
CLOSE_ENOUGH = 0.27  # read by eye on samples: below it a loan is more often wrong than right


def read(path: Path) -> list[Record]:
    """Read one recording, one JSON object per line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def without_people(value: Any) -> Any:
    """Replace e-mails, CPFs and phone numbers in every text, at any depth; keys and ids are not texts."""
    if isinstance(value, dict):
        free = ("cnpj", "numeroControlePNCP", "uri", "url", "linkSistemaOrigem", "urlReferencia", "processo")
        return {key: item if key in free else without_people(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_people(item) for item in value]
    if isinstance(value, str):
        for pattern, replacement in PERSONAL:
            value = pattern.sub(replacement, value)
    return value


def words(text: str) -> set[str]:
    """Accent- and case-blind words of four letters or more."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return {word for word in re.findall(r"[a-z]{4,}", plain) if word not in PLAIN_WORDS}


def loans(bids: dict[str, str], lists: dict[str, str]) -> dict[str, str]:
    """Which recorded item list fits which bid: the closest by cosine over word rarity, when close enough."""
    vocabulary = {key: words(text) for key, text in (bids | lists).items()}
    seen_in = Counter(word for found in vocabulary.values() for word in found)
    rarity = {word: log((len(vocabulary) + 1) / count) for word, count in seen_in.items()}
    length = {key: sum(rarity[word] ** 2 for word in found) ** 0.5 for key, found in vocabulary.items()}
    holders: dict[str, list[str]] = defaultdict(list)
    for key in lists:
        for word in vocabulary[key]:
            holders[word].append(key)
    chosen: dict[str, str] = {}
    for bid in bids:
        shared: dict[str, float] = defaultdict(float)
        for word in sorted(vocabulary[bid]):
            for key in holders.get(word, ()):
                shared[key] += rarity[word] ** 2 / (length[bid] * length[key])
        best = min(shared.items(), key=lambda pair: (-pair[1], pair[0]), default=None)
        if best and best[1] >= CLOSE_ENOUGH:
            chosen[bid] = best[0]
    return chosen


def write(path: Path, rows: list[Any]) -> None:
    """Write gzip JSON lines whose bytes depend on the rows alone."""
    body = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    path.write_bytes(gzip.compress(body.encode(), compresslevel=9, mtime=0))


def main(recordings: Path, municipios: Path, target: Path) -> None:
    """Pack RECORDINGS (a directory of .jsonl files) and MUNICIPIOS (a JSON of IBGE codes by UF) into TARGET."""
    tables = {name: without_people(read(recordings / f"{name}.jsonl")) for name in RECORDINGS}
    for name, rows in tables.items():
        write(target / f"{name}.jsonl.gz", rows)
    bids = {row["numeroControlePNCP"]: row["objetoCompra"] for name in RECORDINGS[:2] for row in tables[name]}
    bids |= {f"pcp:{row['codigoLicitacao']}": row["resumo"] for name in RECORDINGS[5:7] for row in tables[name]}
    lists = {
        row["numeroControlePNCP"]: " ".join(item["descricao"] for item in row["itens"])
        for row in tables["pncp_itens_partial"]
    }
    write(target / "itens_lent.jsonl.gz", [{"to": to, "of": of} for to, of in sorted(loans(bids, lists).items())])
    states = json.loads(municipios.read_text(encoding="utf-8"))
    write(
        target / "municipios.jsonl.gz",
        [
            {
                "uf": uf,
                "nome": states[uf]["name"],
                "municipios": {city["name"]: city["code"] for city in states[uf]["cities"]},
            }
            for uf in sorted(states)
        ],
    )


if __name__ == "__main__":
    typer.run(main)
