"""Text of strangers in a spreadsheet: never a formula, never broken XML, never longer than a cell holds."""

import re
from typing import Final
from urllib.parse import urlsplit

CELL_LIMIT: Final = 32_767
"""Of Excel, in UTF-16 units."""
LINK_LIMIT: Final = 2_079
"""Excel declares a file with a longer hyperlink broken."""

_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")
_UNSAFE_IN_LINK: Final = re.compile(r"[\s\"<>\\^`{}|]")


def safe_text(text: str) -> str:
    """What the cell shows: characters that XML forbids removed, `_x000D_` kept as written, cut at the limit."""
    clean = _ESCAPE.sub("_x005F_", _ILLEGAL.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")))
    units = clean.encode("utf-16-le")
    if len(units) <= 2 * CELL_LIMIT:
        return clean
    return units[: 2 * (CELL_LIMIT - 1)].decode("utf-16-le", errors="ignore") + "…"


def looks_like_formula(text: str) -> bool:
    """Whether an editor or a CSV made from the sheet might run it: such a cell gets the text prefix mark besides."""
    return text.lstrip(" \N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}").startswith(
        _FORMULA_STARTS
    )


def safe_link(link: str | None) -> str | None:
    """An http or https address that can be a hyperlink; None for anything else."""
    if not link or len(link) > LINK_LIMIT or _UNSAFE_IN_LINK.search(link) or _ILLEGAL.search(link):
        return None
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        return None
    return link if parts.scheme in {"http", "https"} and host else None
