"""The filters of a lens: each leaves out what is known to lie outside; unknown is not outside, it is marked."""

from decimal import Decimal

from contracts.classification import RejectReason
from contracts.values import Licitacao
from contracts.verdict import Lens

_BRAZILIAN = str.maketrans(",.", ".,")

Outside = tuple[RejectReason, str]


def outside(bid: Licitacao, lens: Lens) -> Outside | None:
    """Why a bid lies outside the filters, with a short detail; None when it passes."""
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


def unknown_marks(bid: Licitacao, lens: Lens) -> tuple[str, ...]:
    """A Portuguese sentence per filter that passed only because the source did not say."""
    marks: list[str] = []
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
