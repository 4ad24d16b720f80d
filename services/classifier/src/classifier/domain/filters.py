"""The filters of a lens: each leaves out what is known to lie outside; unknown is not outside, it is marked."""

from datetime import datetime
from decimal import Decimal

from contracts.brasileiro import dia
from contracts.classification import RejectReason
from contracts.values import Licitacao, Situacao
from contracts.verdict import Lens

_BRAZILIAN = str.maketrans(",.", ".,")

_OVER = {Situacao.REVOGADA, Situacao.ANULADA, Situacao.ENCERRADA}
"""Takes no proposals, whatever its closing date; one that is suspended may again."""

Outside = tuple[RejectReason, str]


def outside(bid: Licitacao, lens: Lens) -> Outside | None:
    """Why a bid lies outside the filters, with a short detail; None when it passes."""
    if lens.open_at is not None and (why := _closed(bid, at=lens.open_at)) is not None:
        return RejectReason.CLOSED, why
    value = bid.valor_estimado
    if value is not None:
        if lens.value_min is not None and value < lens.value_min:
            return RejectReason.VALUE, f"{reais(value)} abaixo de {reais(lens.value_min)}"
        if lens.value_max is not None and value > lens.value_max:
            return RejectReason.VALUE, f"{reais(value)} acima de {reais(lens.value_max)}"
    if lens.municipio_ibge is not None and bid.municipio_ibge not in {None, lens.municipio_ibge}:
        return RejectReason.MUNICIPIO, bid.municipio or ""
    if lens.esfera is not None and bid.esfera is not None and bid.esfera.value not in {"N", lens.esfera.value}:
        return RejectReason.ESFERA, bid.esfera.value
    return None


def _closed(bid: Licitacao, *, at: datetime) -> str | None:
    if bid.data_encerramento is not None and bid.data_encerramento <= at:
        return f"propostas até {dia(bid.data_encerramento)}"
    return bid.situacao.value if bid.situacao in _OVER else None


def unknown_marks(bid: Licitacao, lens: Lens) -> tuple[str, ...]:
    """A Portuguese sentence per filter that passed only because the source did not say."""
    marks: list[str] = []
    if lens.open_at is not None and bid.data_encerramento is None:
        marks.append("Data de encerramento não informada: não se sabe se ainda recebe propostas.")
    if (lens.value_min is not None or lens.value_max is not None) and bid.valor_estimado is None:
        marks.append("Valor estimado não informado: o filtro de valor não pôde ser verificado.")
    if lens.municipio_ibge is not None and bid.municipio_ibge is None:
        marks.append("Município não informado: o filtro de município não pôde ser verificado.")
    if lens.esfera is not None and (bid.esfera is None or bid.esfera.value == "N"):
        marks.append("Esfera não informada: o filtro de esfera não pôde ser verificado.")
    return tuple(marks)


def reais(amount: Decimal) -> str:
    """R$ 1.234,56."""
    return "R$ " + f"{amount:,.2f}".translate(_BRAZILIAN)
