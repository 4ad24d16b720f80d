"""The dates of a licitação as an iCalendar file (RFC 5545), for the calendar of whoever means to take part."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.cell_text import safe_link
from contracts.values import Licitacao

_LONGEST_LINE: Final = 75
"""Bytes of a content line without its break (RFC 5545, 3.1)."""
_SHOWN: Final = timedelta(minutes=30)
"""How long an event is: a point in time would be drawn as nothing."""


def calendar_of(bid: Licitacao, *, made_at: datetime) -> bytes | None:
    """One event for each date that is known; None when none is.

    Times are UTC, which every calendar shows in its owner's zone. The end of proposals reminds a day before.
    """
    if bid.data_abertura is None and bid.data_encerramento is None:
        return None
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Farol//Licitacoes//PT-BR", "CALSCALE:GREGORIAN"]
    if bid.data_abertura is not None:
        lines += _event(bid, "abertura", "Abertura de propostas", bid.data_abertura, made_at=made_at)
    if bid.data_encerramento is not None:
        lines += _event(bid, "encerramento", "Fim do prazo de propostas", bid.data_encerramento, made_at=made_at)
    lines.append("END:VCALENDAR")
    return "".join(part for line in lines for part in _folded(line)).encode()


def _event(bid: Licitacao, kind: str, what: str, at: datetime, *, made_at: datetime) -> Iterator[str]:
    place = f"{bid.municipio}, {bid.uf}" if bid.municipio else str(bid.uf)
    told = "\n".join(filter(None, (bid.objeto, f"Órgão: {bid.orgao}", bid.numero and f"Número: {bid.numero}")))
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(f'{bid.id}-{kind}')}@farol"
    yield f"DTSTAMP:{_moment(made_at)}"
    yield f"DTSTART:{_moment(at)}"
    yield f"DTEND:{_moment(at + _SHOWN)}"
    yield f"SUMMARY:{_text(f'{what}: {bid.objeto[:120]}')}"
    yield f"DESCRIPTION:{_text(told)}"
    yield f"LOCATION:{_text(f'{bid.orgao} ({place})')}"
    if link := safe_link(bid.link):
        yield f"URL:{link}"
    if kind == "encerramento":
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{what}", "TRIGGER:-P1D", "END:VALARM")
    yield "END:VEVENT"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(words: str) -> str:
    """TEXT: what has a meaning is escaped, and nothing that ends a line or steers a terminal is left."""
    plain = "".join(each if each.isprintable() or each == "\n" else " " for each in words.replace("\r\n", "\n"))
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """The line in parts of 75 bytes at most, never cut within a character."""
    room, part = _LONGEST_LINE, ""
    for each in line:
        size = len(each.encode())
        if size > room:
            yield f"{part}\r\n"
            room, part = _LONGEST_LINE - 1, " "
        part += each
        room -= size
    yield f"{part}\r\n"
