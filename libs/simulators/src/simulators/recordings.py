"""The recorded real records as packed with the library, and the one source of seeded chance."""

from __future__ import annotations

import gzip
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any, TypeVar

import orjson

Record = dict[str, Any]
Choice = TypeVar("Choice")


@cache
def recorded(name: str) -> tuple[Record, ...]:
    """Every row of one recording; shared between simulators, so whoever changes a row copies it first."""
    packed = files("simulators").joinpath("data", f"{name}.jsonl.gz").read_bytes()
    return tuple(orjson.loads(line) for line in gzip.decompress(packed).splitlines())


@cache
def ibge_codes() -> dict[tuple[str, str], str]:
    """The seven-digit IBGE code of each (UF, municipio)."""
    return {(row["uf"], name): str(code) for row in recorded("municipios") for name, code in row["municipios"].items()}


@cache
def uf_names() -> dict[str, str]:
    """The name of each UF as the payload's ufNome spells it."""
    return {row["uf"]: row["nome"] for row in recorded("municipios")}


def draw(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone, so that no draw disturbs another."""
    digest = blake2b("\x1f".join(map(str, key)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / (1 << 56)


def pick(weights: dict[Choice, float], *key: object) -> Choice:
    """One choice by weight, depending on the key alone."""
    left = draw(*key) * sum(weights.values())
    for choice, weight in weights.items():
        left -= weight
        if left < 0:
            return choice
    return next(reversed(weights))
