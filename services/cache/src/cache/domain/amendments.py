"""What has changed between two contents of one bid, field by field, for whoever marked it."""

from datetime import datetime
from decimal import Decimal

from contracts.memory import BidChanged
from contracts.values import Licitacao

WATCHED = (
    "valor_estimado", "data_publicacao", "data_abertura", "data_encerramento", "situacao", "objeto"
)  # fmt: skip
"""Value, dates, situation and object (DESIGN 4.5); other fields are kept in the history without a word."""


def amendments(old: Licitacao, new: Licitacao, *, seen_at: datetime) -> tuple[BidChanged, ...]:
    """One message per watched field whose value differs."""
    return tuple(
        BidChanged(
            id=new.id,
            source=new.source,
            uf=new.uf,
            field=name,
            old=_written(before),
            new=_written(after),
            valor_estimado=new.valor_estimado,
            seen_at=seen_at,
        )
        for name in WATCHED
        if (before := getattr(old, name)) != (after := getattr(new, name))
    )


def _written(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
