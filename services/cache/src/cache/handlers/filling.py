"""Telling the ledger, and having what it lacks fetched by nobody's search."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from cache.domain.filling import Lack, Place, Wanted, due, held_whole, is_gap, keys_of, lacking, not_complete, told
from cache.domain.ledger import SliceKey, SliceRecord
from contracts.fetch import Bell, FetchClaim, FetchRange
from contracts.ledger import MOST_DAYS, FillReply, LedgerGap, LedgerReply, LedgerRun, LedgerWindow
from contracts.places import NATIONAL, UF, UFS
from contracts.subjects import CLAIM, Outgoing
from contracts.values import Modalidade, Priority, Source
from contracts.when import day_of, days_between
from servicekit.clock import Clock
from servicekit.errors import AlreadyInFlight, Rejected

AT_ONCE = 4
"""Claims of one source that are unfinished at a time: searches never wait long behind them."""
LASTS = timedelta(minutes=5)
"""Of one claim."""
SYNC_EVERY = timedelta(hours=6)
"""So old may the knowledge of what was changed become: four times in the day that it renews slices for."""
AUDIT_EVERY = timedelta(hours=24)
AUDIT_AFTER = timedelta(days=2)
"""Days that are still being published late are not counted."""
AUDIT_SPAN = timedelta(days=364)
"""The longest that a source answers for."""
_NEVER = datetime.min.replace(tzinfo=UTC)
SYNC_OVERLAP = timedelta(hours=1)
"""Read again each time: a change may show up late in the list of its day."""


class Ledger(Protocol):
    """What was looked at; each raises DependencyAway."""

    async def ledger(
        self,
        source: Source,
        *,
        ufs: Collection[UF],
        modalidades: Collection[Modalidade],
        first: date,
        last: date,
    ) -> list[SliceRecord]:
        """What the ledger holds of these slices."""

    async def audits(self, source: Source) -> list[LedgerGap]:
        """The last audit of each UF and modalidade, whatever it found."""

    async def synced_upto(self, source: Source) -> dict[tuple[UF, Modalidade], datetime]:
        """Until when every change of each UF and modalidade was read."""


class Claims(Protocol):
    """The queue of claims."""

    async def publish(self, outgoing: Outgoing) -> Any:
        """Store a claim; raises AlreadyInFlight."""


@dataclass(frozen=True, slots=True)
class Hot:
    """What the scheduled ingest keeps fresh."""

    days: int
    modalidades: tuple[Modalidade, ...]


class Filler:
    """Claims what is missing, a little at a time; of its claims it knows which are not over."""

    def __init__(self, *, memory: Ledger, claims: Claims, now: Clock) -> None:
        self._memory = memory
        self._claims = claims
        self._now = now
        self._unfinished: dict[tuple[Source, Place], datetime] = {}

    def heard(self, bell: Bell) -> bool:
        """A claim that is over makes room for the next; whether this bell has made room."""
        return bell.claim_done and self._unfinished.pop((bell.source, bell.uf), None) is not None

    async def tell(self, window: LedgerWindow) -> LedgerReply:
        """The ledger of a window, source by source."""
        now = self._now()
        runs: list[LedgerRun] = []
        gaps: list[LedgerGap] = []
        asked = complete = 0
        for source in window.sources:
            keys = keys_of(source, window.ufs, window.modalidades, _days(window))
            ledger = await self._ledger(source, window)
            runs += told(source, keys, ledger, now=now)
            asked += sum(len(each) for each in keys.values())
            complete += sum(not not_complete(ledger.get(key)) for each in keys.values() for key in each)
            gaps += [each for each in await self._memory.audits(source) if each.uf in window.ufs and is_gap(each)]
        return LedgerReply(runs=tuple(runs), gaps=tuple(gaps), slices_asked=asked, slices_complete=complete, at=now)

    async def fill(self, window: LedgerWindow) -> FillReply:
        """Claim some of what was never read to its end; whoever wants all of it asks again."""
        left = resting = claimed = 0
        for source in window.sources:
            lack, begun = await self._claim_lacking(source, window, wanted=not_complete)
            left, resting, claimed = left + lack.slices, resting + lack.resting, claimed + begun
        unfinished = sum(self._running(source) for source in window.sources)
        return FillReply(left=left, resting=resting, claimed=claimed, unfinished=unfinished)

    async def ingest(self, hot: Hot) -> None:
        """Claim some of what is due in the hot window; with nothing due what was changed, with that known a count."""
        now = self._now()
        today = day_of(now)
        for source in Source:
            window = LedgerWindow(
                sources=(source,), ufs=UFS, modalidades=hot.modalidades,
                day_from=today - timedelta(days=hot.days - 1), day_to=today,
            )  # fmt: skip
            lack, _ = await self._claim_lacking(source, window, wanted=due(now))
            if source.national or lack.places:
                continue
            if not await self._sync(source, hot.modalidades, now):
                await self._audit(source, hot.modalidades, now)

    async def _claim_lacking(self, source: Source, window: LedgerWindow, *, wanted: Wanted) -> tuple[Lack, int]:
        keys = keys_of(source, window.ufs, window.modalidades, _days(window))
        lack = lacking(source, keys, await self._ledger(source, window), wanted=wanted, now=self._now())
        return lack, await self._claim(source, lack.places)

    async def _sync(self, source: Source, modalidades: Iterable[Modalidade], now: datetime) -> int:
        upto = await self._memory.synced_upto(source)
        places = []
        for uf in UFS:
            since = {modalidade: upto.get((uf, modalidade)) for modalidade in modalidades}
            ranges = tuple(
                FetchRange(modalidade=each, day_from=_first_changed(at, now), day_to=day_of(now), updated=True)
                for each, at in since.items()
                if at is None or now - at >= SYNC_EVERY
            )
            if ranges:
                places.append((uf, ranges))
        await self._claim(source, places)
        return len(places)

    async def _audit(self, source: Source, modalidades: Collection[Modalidade], now: datetime) -> None:
        """Have the source count what is held of some UFs, over all days that were read whole, once a day."""
        seen = {(each.uf, each.modalidade): each.seen_at for each in await self._memory.audits(source)}
        last = day_of(now) - AUDIT_AFTER
        places: list[tuple[Place, tuple[FetchRange, ...]]] = []
        for uf in sorted(UFS, key=lambda uf: min(seen.get((uf, each), _NEVER) for each in modalidades)):
            stale = [each for each in modalidades if now - seen.get((uf, each), _NEVER) >= AUDIT_EVERY]
            if not stale or len(places) == AT_ONCE:
                break
            records = await self._memory.ledger(
                source, ufs=(uf,), modalidades=stale, first=last - AUDIT_SPAN, last=last
            )
            ledger = {record.key: record for record in records}
            spans = ((each, held_whole(uf, each, ledger, last=last)) for each in stale)
            ranges = tuple(
                FetchRange(modalidade=each, day_from=span[0], day_to=span[1], count_only=True)
                for each, span in spans
                if span is not None
            )
            if ranges:
                places.append((uf, ranges))
        await self._claim(source, places)

    async def _ledger(self, source: Source, window: LedgerWindow) -> dict[SliceKey, SliceRecord]:
        records = await self._memory.ledger(
            source,
            ufs=(UF.XX,) if source.national else window.ufs,
            modalidades=(Modalidade.OUTRA,) if source.national else window.modalidades,
            first=window.day_from,
            last=window.day_to,
        )
        return {record.key: record for record in records}

    async def _claim(self, source: Source, places: Iterable[tuple[Place, tuple[FetchRange, ...]]]) -> int:
        claimed = 0
        for place, ranges in places:
            if self._running(source) >= AT_ONCE:
                break
            if (source, place) in self._unfinished:
                continue
            now = self._now()
            claim = FetchClaim(
                source=source, uf=place, ranges=ranges, priority=Priority.INGEST,
                not_after=now + LASTS, claimed_at=now,
            )  # fmt: skip
            try:
                await self._claims.publish(CLAIM.message(claim, source=source, uf=place or NATIONAL))
            except AlreadyInFlight:
                continue  # what another is fetching there is there when this is asked again
            self._unfinished[source, place] = claim.not_after
            claimed += 1
        return claimed

    def _running(self, source: Source) -> int:
        now = self._now()
        self._unfinished = {place: until for place, until in self._unfinished.items() if now < until}
        return sum(each is source for each, _ in self._unfinished)


def _days(window: LedgerWindow) -> tuple[date, ...]:
    days = days_between(window.day_from, window.day_to)
    if not 0 < len(days) <= MOST_DAYS:
        raise Rejected("window.not_askable", f"a window has 1 to {MOST_DAYS} days")
    return days


def _first_changed(upto: datetime | None, now: datetime) -> date:
    """From where changes are read: where the last time ended, or, where that is too long ago, from today anew."""
    if upto is None or now - upto > timedelta(days=MOST_DAYS - 1):
        return day_of(now)
    return day_of(upto - SYNC_OVERLAP)
