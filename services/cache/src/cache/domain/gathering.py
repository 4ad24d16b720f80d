"""One search x source on its way: which slices are still waited for, which bids were emitted, when a UF is over."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cache.domain.batches import StoredBid, batch_key, is_open, split
from cache.domain.ledger import OPEN_TODAY, SliceKey, SliceRecord, after_end, is_due, merged, runs, slices_of_end
from cache.domain.pages import RangeProgress, moment_of
from contracts.classification import JudgeBids, SightedBid
from contracts.coarsening import coarsened
from contracts.fetch import FetchClaim, FetchRange, PageFetched, RangeEnded, SliceStatus
from contracts.memory import Gather, Gathered
from contracts.places import UF, UFS
from contracts.values import BidId
from contracts.when import day_of

REPORT_RESERVE = timedelta(seconds=5)
"""What a gather keeps of its time for its report (DESIGN 4.3)."""
END_RESERVE = timedelta(seconds=2)
"""What it keeps besides for the ends of a fetch that was cut to reach the ledger."""
WORTH_ASKING = timedelta(seconds=1)
"""With less time left no claim is made."""
FAILED_FETCHES = 2
"""A slice is tried once, and once more when that failed (T04.3)."""
UNANSWERED_CLAIMS = 3
"""A claim taken away without a word in the ledger (not needed after all, or given up) is made so often again."""
UNANSWERED_FOR = timedelta(seconds=4)
"""The pages of a claim that is over may still be on their way to the ledger; longer each time."""
CUT = "timeout.source"
"""Why a slice is missing that the gather was still waiting for."""

Place = UF | None
"""Of a claim: None is the national listing."""


@dataclass(slots=True)
class _Held:
    """Bids of one UF that are ready but do not fill a batch yet."""

    bids: list[StoredBid]
    since: datetime


class Gathering:
    """The state of one gather; it is told what the memory says and says what to do next."""

    def __init__(self, command: Gather, *, reported: Iterable[UF], now: datetime) -> None:
        self.command = command
        self.source = command.source
        self.ufs = tuple(uf for uf in command.ufs if uf not in set(reported))
        """The UFs to report; those already in the log are left out."""
        self.open: set[UF] = set(self.ufs)
        self.without_uf = set(UFS) <= set(command.ufs)
        """Whether bids without a UF are asked as well."""
        self.ledger: dict[SliceKey, SliceRecord] = {}
        self.days = command.days or (OPEN_TODAY,)
        """As the ledger names them."""
        self._published = frozenset(command.days)
        self._modalidades = frozenset(command.modalidades)
        self._waiting: dict[UF, set[SliceKey]] = {
            uf: {SliceKey(uf, modalidade, day) for modalidade in command.modalidades for day in self.days}
            for uf in self.ufs
        }
        self._failed: dict[SliceKey, set[int]] = defaultdict(set)
        self._claimed: Counter[SliceKey] = Counter()
        self._taken: Counter[Place] = Counter()
        self._retry_at: dict[Place, datetime] = {}
        self._overlay: dict[tuple[int, UF | None, FetchRange], RangeProgress] = {}
        self._emitted: dict[UF, dict[BidId, str]] = defaultdict(dict)
        self._batches: dict[UF, dict[str, None]] = defaultdict(dict)
        self._held: dict[UF, _Held] = {}
        self._passed_over: dict[UF, set[SliceKey]] = defaultdict(set)
        self._unread: set[SliceKey] = set()
        self._begun = now

    # -- time

    @property
    def report_at(self) -> datetime:
        """When every UF is reported, done or not."""
        return self.command.deadline - REPORT_RESERVE

    @property
    def claims_until(self) -> datetime:
        """No fetch for this gather goes on after this."""
        return self.report_at - END_RESERVE

    # -- the ledger

    @property
    def newer_than(self) -> datetime | None:
        """With `force_refresh`, what was fetched before the search was asked is due."""
        return self.command.asked_at if self.command.force_refresh else None

    def learn(
        self, records: Iterable[SliceRecord], *, now: datetime, retry_delay: timedelta, heard: bool = False
    ) -> None:
        """Take what the ledger says: slices that are well, or tried often enough, are waited for no more.

        What was `heard` came with its bids; the bids of other slices still have to be read (`caught_up`).
        """
        for record in records:
            self.ledger[record.key] = record
            if heard:
                self._unread.discard(record.key)
            else:
                self._unread.add(record.key)
            waiting = self._waiting.get(record.key.uf)
            if waiting is None or record.key not in waiting:
                continue
            if self._settles(record, now):
                waiting.discard(record.key)
            elif record.attempt_at >= self.command.asked_at:
                self._retry_at[self.place(record.key.uf)] = now + retry_delay

    def _settles(self, record: SliceRecord, now: datetime) -> bool:
        if not is_due(record, now=now, newer_than=self.newer_than):
            return True
        if record.attempt_at < self.command.asked_at:
            return False
        if record.attempt_status is SliceStatus.COMPLETE:
            return True
        self._failed[record.key].add(record.attempt_id)
        return len(self._failed[record.key]) >= FAILED_FETCHES

    def waits_for(self, uf: UF) -> bool:
        """Whether a slice of this UF may still be fetched in time."""
        return bool(self._waiting.get(uf))

    def finished(self, *, now: datetime) -> list[UF]:
        """The open UFs that are over: nothing is waited for, or the time is up."""
        late = now >= self.report_at
        return [uf for uf in self.ufs if uf in self.open and (late or not self.waits_for(uf))]

    # -- claims

    def place(self, uf: UF) -> Place:
        """What a claim for this UF names."""
        return None if self.source.national else uf

    def claims(self, *, now: datetime) -> list[FetchClaim]:
        """One claim for each place in which something is waited for, unless too late or soon after a failure.

        What was never tried goes first: a second try has a budget of its own.
        """
        if now + WORTH_ASKING > self.claims_until:
            return []
        wanted: dict[Place, list[SliceKey]] = defaultdict(list)
        for uf in self.ufs:
            if uf in self.open and now >= self._retry_at.get(self.place(uf), now):
                wanted[self.place(uf)] += self._waiting[uf]
        return [self._claim(place, keys, now=now) for place, keys in wanted.items() if keys]

    def _claim(self, place: Place, keys: Sequence[SliceKey], *, now: datetime) -> FetchClaim:
        untried = [key for key in keys if not self._failed.get(key)]
        return FetchClaim(
            source=self.source,
            uf=place,
            ranges=self._ranges(place, untried or keys, today=day_of(now)),
            priority=self.command.priority,
            tenant=self.command.tenant,
            search_id=self.command.search_id,
            not_after=self.claims_until,
            claimed_at=now,
            newer_than=self.newer_than,
            again=not untried,
        )

    def _ranges(self, place: Place, keys: Sequence[SliceKey], *, today: date) -> tuple[FetchRange, ...]:
        if place is None:
            return merged(None, {key.day for key in keys}, today=today)
        return tuple(
            each
            for modalidade in self.command.modalidades
            for each in merged(modalidade, {key.day for key in keys if key.modalidade is modalidade}, today=today)
        )

    def claimed(self, claim: FetchClaim, *, now: datetime) -> None:
        """A claim was taken: the next one waits longer each time that none left a trace in the ledger.

        After too many of those its slices are waited for no more.
        """
        self._taken[claim.uf] += 1
        self._retry_at[claim.uf] = now + UNANSWERED_FOR * self._taken[claim.uf]
        for uf in self.ufs:
            if self.place(uf) != claim.uf:
                continue
            for key in tuple(self._waiting[uf]):
                self._claimed[key] += 1
                if self._claimed[key] > UNANSWERED_CLAIMS:
                    self._waiting[uf].discard(key)

    # -- bids

    def take(self, bids: Iterable[StoredBid], *, now: datetime, last: bool = False) -> None:
        """Hold the asked bids ready that were not emitted with this content yet.

        A stored bid of a slice that is still waited for is passed over until the fetch has ended (`last`): a live
        record wins over a stored one.
        """
        for each in bids:
            bid = each.bid
            if not self._asked(each) or self._emitted[bid.uf].get(bid.id) == each.hash:
                continue
            if not last and each.last_seen < self.command.asked_at and self._stays_open(bid.uf, each):
                self._passed_over[bid.uf].add(self._slice_of(each))
                continue
            self._emitted[bid.uf][bid.id] = each.hash
            self._held.setdefault(bid.uf, _Held([], now)).bids.append(each)

    def _asked(self, each: StoredBid) -> bool:
        bid = each.bid
        if bid.source is not self.source or bid.modalidade not in self._modalidades:
            return False
        if not (bid.day in self._published if self._published else is_open(each, at=self.command.asked_at)):
            return False
        return bid.uf in self.open or (bid.uf is UF.XX and self.without_uf)

    def _stays_open(self, uf: UF, each: StoredBid) -> bool:
        if uf is UF.XX:
            return any(self._waiting.values())
        return self._slice_of(each) in self._waiting[uf]

    def _slice_of(self, each: StoredBid) -> SliceKey:
        return SliceKey(each.bid.uf, each.bid.modalidade, each.bid.day if self._published else OPEN_TODAY)

    def passed_over(self, uf: UF) -> bool:
        """Whether stored bids of this UF were left for its end."""
        return bool(self._passed_over.get(uf))

    def caught_up(self, uf: UF | None = None) -> None:
        """Every bid of the slices learned so far was read; of one UF: those that were passed over as well."""
        if uf is None:
            self._unread.clear()
        else:
            self._unread = {key for key in self._unread if key.uf is not uf}
            self._passed_over.pop(uf, None)

    def ready(self, *, now: datetime, linger: timedelta, flush: Collection[UF] = ()) -> list[JudgeBids]:
        """The batches to emit now: full ones, those that have lingered, and all of the UFs to flush."""
        commands: list[JudgeBids] = []
        for uf in sorted(self._held):
            held = self._held[uf]
            all_of_it = uf in flush or now - held.since >= linger
            batches, left = split(held.bids, whole_only=not all_of_it)
            if batches:
                held.since = now
            held.bids = left
            commands += [self._command(uf, batch) for batch in batches]
        return commands

    @property
    def holds_any(self) -> bool:
        """Whether bids wait to fill a batch."""
        return any(held.bids for held in self._held.values())

    def _command(self, uf: UF, batch: Sequence[StoredBid]) -> JudgeBids:
        key = batch_key(self.source, uf, ((each.bid.id, each.hash) for each in batch))
        self._batches[uf][key] = None
        return JudgeBids(
            search_id=self.command.search_id,
            batch=key,
            source=self.source,
            uf=uf,
            bids=tuple(
                SightedBid(bid=each.bid, seen_at=each.since, live=each.last_seen >= self.command.asked_at)
                for each in batch
            ),
            lens=self.command.lens,
            deadline=self.command.search_deadline,
        )

    # -- the report

    def is_last(self, uf: UF) -> bool:
        """Whether this is the last open UF: bids without a UF are reported with it."""
        return self.open == {uf}

    def report(self, uf: UF, *, pages: int, now: datetime) -> Gathered:
        """The one fact that ends a UF, whose batches cover every bid that was held of it."""
        with_none = self.without_uf and self.is_last(uf)
        self.open.discard(uf)
        batches = [*self._batches.pop(uf, {}), *(self._batches.pop(UF.XX, {}) if with_none else {})]
        records = len(self._emitted.pop(uf, {})) + (len(self._emitted.pop(UF.XX, {})) if with_none else 0)
        self._held.pop(uf, None)
        return Gathered(
            search_id=self.command.search_id,
            source=self.source,
            uf=uf,
            runs=coarsened(
                runs(
                    uf,
                    self.command.modalidades,
                    self.days,
                    self.ledger,
                    asked_at=self.command.asked_at,
                    cut=CUT,
                    unread=self._unread | self._passed_over.get(uf, set()),
                )
            ),
            batches=tuple(batches),
            records=records,
            pages=pages,
            duration_ms=max(0, round((now - self._begun).total_seconds() * 1000)),
        )

    # -- with SQL away the bells carry what the ledger cannot say

    def overhear(self, message: PageFetched | RangeEnded, *, now: datetime, retry_delay: timedelta) -> None:
        """Take a page or an end from a bell: its bids as live ones, its slices once all its pages were heard."""
        key = (message.fetch_id, message.uf, message.range)
        progress = RangeProgress.of(self._overlay.get(key), moment_of(message))
        if isinstance(message, PageFetched):
            progress = progress.with_page(message)
            self.take((_overheard(message, number) for number in range(len(message.bids))), now=now)
        else:
            progress = progress.with_end(message)
        self._overlay[key] = progress
        if progress.end is not None and progress.settled:
            end = progress.end
            asked = (each for each in slices_of_end(end) if each in self._waiting.get(each.uf, ()))
            self.learn(
                [after_end(self.ledger.get(each), each, end) for each in asked],
                now=now,
                retry_delay=retry_delay,
                heard=True,
            )


def _overheard(page: PageFetched, number: int) -> StoredBid:
    bid = page.bids[number]
    return StoredBid(
        bid=bid,
        hash=bid.content_hash,
        size=len(bid.to_json()),
        since=page.fetched_at,
        last_seen=page.fetched_at,
        store_seq=0,
        open_seen=page.fetched_at if page.range.open_today else None,
    )
