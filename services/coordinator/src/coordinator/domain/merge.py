"""One licitação in both sources is one result: exact link first, then a strict likeness of place, number and text."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal

from contracts.answer import Result
from contracts.brasileiro import reais
from contracts.classification import AcceptedBid
from contracts.values import BidId, Licitacao, Source, pcp_id

_PCP_LINK = re.compile(r"portaldecompraspublicas\.com\.br/.*-(\d+)/?$", re.IGNORECASE)
"""PNCP's linkSistemaOrigem ends in PCP's codigoLicitacao: the exact key (462 of our real records carry one)."""

SAME_TEXT = 0.7
"""Share of the shorter text's words that the other must have; real pairs have all of them up to truncation."""
SAME_TIME = timedelta(days=3)
"""How far apart the two sources may date one publication."""
SAME_VALUE = Decimal("0.05")
"""Share of the larger value by which two publications of one licitação may differ without a word about it."""
_LOTS = re.compile(
    r"\blotes?\b[^a-z0-9]*(?:n\b|no\b|numeros?\b)?[^a-z0-9]*"
    r"((?:\d{1,3}|[ivx]{1,5})\b(?:(?:\s*[,/;]\s*|\s+e\s+|\s+a\s+)(?:\d{1,3}|[ivx]{1,5})\b)*)"
)
_ROMAN = {"i": 1, "v": 5, "x": 10}
_MIN_WORDS = 5
"""A shorter text is too common to tell two bids apart."""
_STOP = frozenset(
    (
        "de",
        "da",
        "do",
        "das",
        "dos",
        "em",
        "no",
        "na",
        "nos",
        "nas",
        "para",
        "por",
        "com",
        "um",
        "uma",
        "ao",
        "aos",
        "as",
        "os",
    )
)


def merge(accepted: Iterable[AcceptedBid]) -> tuple[Result, ...]:
    """The rows of an answer. The first source of `Source` keeps the row, the other fills what it lacks.

    The outcome does not depend on the order of `accepted`.
    """
    bids = sorted(accepted, key=lambda each: each.sighted.bid.id)
    ours = [each for each in bids if each.sighted.bid.source is Source.PNCP]
    theirs = {each.sighted.bid.id: each for each in bids if each.sighted.bid.source is Source.PCP}
    pairs = _exact(ours, theirs)
    pairs.update(_alike([b for b in ours if b.sighted.bid.id not in pairs], theirs, taken=set(pairs.values())))
    taken = set(pairs.values())
    rows = [
        _filled(Result.of(each), Result.of(theirs[pairs[each.sighted.bid.id]]))
        if each.sighted.bid.id in pairs
        else Result.of(each)
        for each in ours
    ]
    return tuple(rows + [Result.of(each) for bid_id, each in theirs.items() if bid_id not in taken])


def _exact(ours: Sequence[AcceptedBid], theirs: dict[BidId, AcceptedBid]) -> dict[BidId, BidId]:
    pairs: dict[BidId, BidId] = {}
    for each in ours:
        bid = each.sighted.bid
        found = _PCP_LINK.search(bid.link_origem or "")
        other = pcp_id(int(found.group(1))) if found else None
        if other in theirs and other not in pairs.values() and not _apart(bid, theirs[other].sighted.bid):
            pairs[bid.id] = other
    return pairs


def _alike(ours: Sequence[AcceptedBid], theirs: dict[BidId, AcceptedBid], *, taken: set[BidId]) -> dict[BidId, BidId]:
    """Pairs whose place, number and text agree; a bid with two candidates, on either side, is left alone."""
    by_number: dict[tuple[str, str], list[Licitacao]] = defaultdict(list)
    for bid_id, each in theirs.items():
        bid = each.sighted.bid
        if bid_id not in taken and (number := _number(bid)):
            by_number[bid.uf, number].append(bid)
    candidates: dict[BidId, BidId] = {}
    for each in ours:
        bid = each.sighted.bid
        alike = [other for other in by_number.get((bid.uf, _number(bid) or ""), ()) if _same(bid, other)]
        if len(alike) == 1:
            candidates[bid.id] = alike[0].id
    wanted = Counter(candidates.values())
    return {one: other for one, other in candidates.items() if wanted[other] == 1}


def _apart(one: Licitacao, other: Licitacao) -> bool:
    """Whether numbers or lots that both of them tell differ: then no link and no likeness makes them one."""
    number, another = _number(one), _number(other)
    if number and another and number != another:
        return True
    lots, others = _lots(one), _lots(other)
    if not lots or not others:
        return False
    # Of a cut text only the first lots are known.
    if one.objeto_truncado or other.objeto_truncado:
        return not (lots <= others if one.objeto_truncado else others <= lots)
    return lots != others


def _lots(bid: Licitacao) -> frozenset[int]:
    """`Lote 02`, `lotes 1, 2 e 3`, `LOTE II`; a figure at the end of a cut text may be cut itself and tells nothing."""
    text = _fold(bid.objeto).rstrip(" .")
    runs = list(_LOTS.finditer(text))
    told = [word for run in runs for word in re.findall(r"[a-z0-9]+", run.group(1)) if word not in ("e", "a")]
    if bid.objeto_truncado and runs and runs[-1].end() == len(text):
        told.pop()
    return frozenset(int(word) if word.isdecimal() else _arabic(word) for word in told)


def _arabic(roman: str) -> int:
    values = [_ROMAN[letter] for letter in roman]
    return sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))


def _same(one: Licitacao, other: Licitacao) -> bool:
    if _apart(one, other):
        return False
    if one.municipio and other.municipio and _fold(one.municipio) != _fold(other.municipio):
        return False
    if abs(one.data_publicacao - other.data_publicacao) > SAME_TIME:
        return False
    words, others = _words(one.objeto), _words(other.objeto)
    shorter, longer = sorted((words, others), key=len)
    return len(shorter) >= _MIN_WORDS and len(shorter & longer) >= SAME_TEXT * len(shorter)


def _number(bid: Licitacao) -> str | None:
    """`28/2026`, `028-2026` and `28/26` are one number; without a year it tells too little."""
    found = re.search(r"(\d{1,6})\s*[/\-]\s*(\d{4}|\d{2})\b", bid.numero or "")
    if found:
        return f"{int(found.group(1))}/{int(found.group(2)) % 100:02d}"
    bare = re.fullmatch(r"\D{0,6}(\d{1,6})", (bid.numero or "").strip())
    year = re.search(r"/(\d{4})$", bid.id)
    return f"{int(bare.group(1))}/{int(year.group(1)) % 100:02d}" if bare and year else None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]{2,}", _fold(text))) - _STOP


def _filled(row: Result, other: Result) -> Result:
    missing = {
        name: getattr(other, name)
        for name in ("municipio", "valor_estimado", "data_abertura", "data_encerramento", "link", "esfera", "numero")
        if getattr(row, name) is None and getattr(other, name) is not None
    }
    noted = {"reasons": (*row.reasons, divergence)} if (divergence := _divergence(row, other)) else {}
    return row.model_copy(update={**missing, **noted, "also_in": (other.id,)})


def _divergence(row: Result, other: Result) -> str | None:
    """What is said of two estimates that are further apart than `SAME_VALUE`."""
    one, another = row.valor_estimado, other.valor_estimado
    if one is None or another is None or abs(one - another) <= SAME_VALUE * max(one, another):
        return None
    return f"valor estimado divergente entre as publicações: {reais(one)} e {reais(another)}"
