"""What the sources' free texts become: folded, stripped of platform marks, never an unsafe link."""

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import urlsplit

from contracts.when import from_brasilia

LONGEST_TEXT = 10_000
"""Characters; twice what either source allows, so that only rubbish is cut."""
LONGEST_LINK = 2_000
HIGHEST_VALUE = Decimal(10) ** 13
_PLATFORM = re.compile(r"^(?:\[[^\[\]]{2,60}\]\s*[-–—]\s*)+")
_NO_LINK = re.compile(r"[\s\x00-\x1f]")
_CENTESIMO_DE_CENTAVO = Decimal("0.0001")


def folded(text: str | None) -> str | None:
    """The text with every run of white space as one blank; None when nothing is left."""
    return " ".join((text or "").split())[:LONGEST_TEXT] or None


def without_platform(text: str) -> str:
    """A folded objeto without the marks that platforms put before it, such as `[LICITANET] - `."""
    return _PLATFORM.sub("", text) or text


def web_link(text: str | None) -> str | None:
    """The link if it is one that a browser may follow: http or https and a host; else None.

    Real records hold blanks, `0`, `#`, `string`, e-mail addresses and links without a scheme.
    """
    bare = (text or "").strip()
    if not bare or len(bare) > LONGEST_LINK or _NO_LINK.search(bare):
        return None
    try:
        parts = urlsplit(bare)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host or "." not in host or parts.username is not None:
        return None
    return parts._replace(netloc=parts.netloc.lower()).geturl()


def moment(text: str | None, *, naive_is_utc: bool = False) -> datetime | None:
    """A source's time as aware UTC: one without offset is Brasília's; nanoseconds and missing seconds occur.

    None for no text and for a text that is no time.
    """
    if not (bare := (text or "").strip()):
        return None
    try:
        parsed = datetime.fromisoformat(bare)
        if parsed.tzinfo is None:
            return parsed.replace(tzinfo=UTC) if naive_is_utc else from_brasilia(parsed)
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def reais(amount: Decimal | None) -> Decimal | None:
    """An amount in reais; None for 0 (hidden or not told) and for what cannot be a price."""
    if amount is None or not amount.is_finite() or not 0 < amount < HIGHEST_VALUE:
        return None
    return amount.quantize(_CENTESIMO_DE_CENTAVO, rounding=ROUND_HALF_UP).normalize() or None
