"""How people here read money, days and lists: R$ 1.234,56, dd/mm/aaaa, Brasília time."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from contracts.when import BRT

_SWAP = str.maketrans(",.", ".,")


def numero(amount: int) -> str:
    """`1.234`."""
    return f"{amount:,}".translate(_SWAP)


def reais(amount: Decimal) -> str:
    """`R$ 1.234,56`, centavos rounded half up; the space does not break."""
    return "R$\N{NO-BREAK SPACE}" + f"{amount.quantize(Decimal('0.01'), ROUND_HALF_UP):,}".translate(_SWAP)


def dia(moment: date | datetime) -> str:
    """`22/11/2026`; of a moment, its day in America/Sao_Paulo."""
    return f"{moment.astimezone(BRT) if isinstance(moment, datetime) else moment:%d/%m/%Y}"


def dia_e_hora(moment: datetime) -> str:
    """`22/11/2026 14:30`, Brasília time."""
    return f"{moment.astimezone(BRT):%d/%m/%Y %H:%M}"


def lista(words: Sequence[str]) -> str:
    """`SP, MG e RS`."""
    return " e ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def quantos(count: int, one: str, many: str) -> str:
    """`1 licitação`, `2.300 licitações`."""
    return f"{numero(count)} {one if count == 1 else many}"
