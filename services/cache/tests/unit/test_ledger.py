from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.domain.ledger import (
    LONGEST_RANGE,
    OPEN_TODAY,
    SliceKey,
    SliceRecord,
    Synced,
    after_end,
    fresh_until,
    is_due,
    merged,
    needed,
    runs,
    slices_of_end,
    slices_of_ranges,
    synced,
)
from contracts.fetch import FetchRange, RangeEnded, SliceStatus
from contracts.places import UF
from contracts.values import Modalidade, Source
from contracts.when import days_between, end_of_day

DAY = date(2026, 3, 10)
DAYS = days_between(date(2026, 3, 1), date(2026, 3, 12))
PREGAO, DISPENSA = Modalidade.PREGAO_ELETRONICO, Modalidade.DISPENSA
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

moments = st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 20), timezones=st.just(UTC))  # noqa: DTZ001
statuses = st.sampled_from([SliceStatus.COMPLETE, SliceStatus.PARTIAL, SliceStatus.FAILED])
day_sets = st.sets(st.sampled_from(DAYS))


def an_end(status: SliceStatus = SliceStatus.COMPLETE, **more: Any) -> RangeEnded:
    started = more.pop("started_at", datetime(2026, 3, 20, tzinfo=UTC))
    plain = {
        "fetch_id": 1, "source": Source.PNCP, "uf": UF.SP, "status": status, "started_at": started,
        "range": FetchRange(modalidade=PREGAO, day_from=DAY, day_to=DAY), "ended_at": started + timedelta(seconds=9),
        "why": None if status is SliceStatus.COMPLETE else "http.503",
    }  # fmt: skip
    return RangeEnded(**{**plain, **more})


def a_record(key: SliceKey, **more: Any) -> SliceRecord:
    return after_end(None, key, an_end(**more))


@st.composite
def end_lists(draw: st.DrawFn) -> list[RangeEnded]:
    starts = draw(st.lists(moments, min_size=1, max_size=6, unique=True))
    return [an_end(draw(statuses), started_at=at, fetch_id=n + 1) for n, at in enumerate(starts)]


class TestFreshUntil:
    @pytest.mark.parametrize(
        ("read", "hours"),
        [
            (end_of_day(DAY) - timedelta(seconds=1), 0.5),
            (end_of_day(DAY) - timedelta(hours=20), 0.5),
            (end_of_day(DAY), 6),
            (end_of_day(DAY) + timedelta(hours=23, minutes=59), 6),
            (end_of_day(DAY) + timedelta(hours=24), 24),
            (end_of_day(DAY) + timedelta(days=90), 24),
        ],
    )
    def test_goes_by_whether_the_day_was_over_in_brasilia_when_it_was_read(self, read: datetime, hours: float) -> None:
        assert fresh_until(DAY, read) - read == timedelta(hours=hours)

    def test_does_not_lengthen_when_the_day_is_over_later(self) -> None:
        read = end_of_day(DAY) - timedelta(minutes=1)
        record = a_record(SliceKey(UF.SP, PREGAO, DAY), started_at=read)

        assert not is_due(record, now=read + timedelta(minutes=29))
        assert is_due(record, now=read + timedelta(minutes=30))

    @given(moments, moments)
    def test_reading_later_is_never_stale_earlier(self, one: datetime, other: datetime) -> None:
        first, second = sorted((one, other))
        assert fresh_until(DAY, first) <= fresh_until(DAY, second)


class TestIsDue:
    @pytest.mark.parametrize("status", [SliceStatus.PARTIAL, SliceStatus.FAILED])
    def test_is_so_for_everything_but_a_complete_look(self, status: SliceStatus) -> None:
        now = datetime(2026, 3, 20, tzinfo=UTC)
        assert is_due(a_record(SliceKey(UF.SP, PREGAO, DAY), status=status, started_at=now), now=now)
        assert is_due(None, now=now)

    def test_is_so_for_what_was_read_before_a_forced_refresh(self) -> None:
        now = datetime(2026, 3, 20, tzinfo=UTC)
        record = a_record(SliceKey(UF.SP, PREGAO, DAY), started_at=now)
        assert not is_due(record, now=now, newer_than=now)
        assert is_due(record, now=now, newer_than=now + timedelta(microseconds=1))


class TestAfterEnd:
    KEY = SliceKey(UF.SP, PREGAO, DAY)

    @pytest.mark.parametrize("worse", [SliceStatus.PARTIAL, SliceStatus.FAILED])
    def test_keeps_the_complete_look_and_records_the_failed_attempt(self, worse: SliceStatus) -> None:
        complete = a_record(self.KEY)
        later = an_end(worse, started_at=complete.attempt_at + timedelta(hours=1), fetch_id=2)

        record = after_end(complete, self.KEY, later)

        assert (record.status, record.fetched_at, record.why) == (SliceStatus.COMPLETE, complete.fetched_at, None)
        assert (record.attempt_id, record.attempt_at) == (2, later.started_at)
        assert (record.attempt_status, record.attempt_why) == (worse, "http.503")

    @given(end_lists(), st.randoms(use_true_random=False))
    def test_comes_to_the_same_whatever_the_order_and_the_repeats(self, ends: list[RangeEnded], chance: Any) -> None:
        shuffled = ends + chance.sample(ends, k=len(ends) // 2)
        chance.shuffle(shuffled)
        assert self._told(shuffled) == self._told(ends)

    @given(end_lists())
    def test_never_gets_worse(self, ends: list[RangeEnded]) -> None:
        quality = [SliceStatus.FAILED, SliceStatus.PARTIAL, SliceStatus.COMPLETE]
        best = max(ends, key=lambda end: quality.index(end.status))
        record = self._told(ends)
        assert record is not None
        assert record.status is best.status
        assert record.attempt_at == max(end.started_at for end in ends)

    def _told(self, ends: Sequence[RangeEnded]) -> SliceRecord | None:
        record = None
        for end in ends:
            record = after_end(record, self.KEY, end)
        return record


class TestSlicesOfEnd:
    def test_of_a_national_end_are_those_of_every_uf_and_modalidade_on_inner_days(self) -> None:
        end = an_end(
            uf=None,
            source=Source.PCP,
            range=FetchRange(modalidade=None, day_from=DAYS[0], day_to=DAYS[4]),
            inner_from=DAYS[1],
            inner_to=DAYS[3],
        )
        keys = set(slices_of_end(end))
        assert len(keys) == 28 * 16 * 3
        assert {key.day for key in keys} == set(DAYS[1:4])
        assert SliceKey(UF.XX, Modalidade.OUTRA, DAYS[2]) in keys

    def test_of_a_local_end_are_its_own(self) -> None:
        end = an_end(range=FetchRange(modalidade=PREGAO, day_from=DAYS[0], day_to=DAYS[1]))
        assert set(slices_of_end(end)) == {SliceKey(UF.SP, PREGAO, DAYS[0]), SliceKey(UF.SP, PREGAO, DAYS[1])}


class TestMerged:
    @given(day_sets)
    def test_covers_exactly_the_days_given_each_once(self, days: set[date]) -> None:
        ranges = merged(PREGAO, days, today=DAY)
        covered = [day for each in ranges for day in days_between(each.day_from, each.day_to)]
        assert covered == sorted(days)

    @given(day_sets)
    def test_leaves_no_two_ranges_that_touch(self, days: set[date]) -> None:
        ranges = merged(None, days, today=DAY)
        assert all(b.day_from - a.day_to > timedelta(days=1) for a, b in pairwise(ranges))

    def test_splits_a_year_so_that_a_cut_does_not_lose_it_whole(self) -> None:
        year = days_between(date(2025, 3, 13), date(2026, 3, 12))
        ranges = merged(PREGAO, year, today=DAY)
        assert [day for each in ranges for day in days_between(each.day_from, each.day_to)] == list(year)
        assert max((each.day_to - each.day_from).days + 1 for each in ranges) == LONGEST_RANGE

    def test_asks_for_the_list_of_what_is_open_as_of_today(self) -> None:
        listed = FetchRange(modalidade=PREGAO, day_from=DAY, day_to=DAY, open_today=True)
        assert merged(PREGAO, [OPEN_TODAY], today=DAY) == (listed,)


class TestTheListOfWhatIsOpen:
    LISTED = FetchRange(modalidade=PREGAO, day_from=DAY, day_to=DAY, open_today=True)
    KEY = SliceKey(UF.SP, PREGAO, OPEN_TODAY)

    def test_is_a_slice_of_its_own(self) -> None:
        assert list(slices_of_end(an_end(range=self.LISTED))) == [self.KEY]
        assert list(slices_of_ranges(UF.SP, (self.LISTED,))) == [self.KEY]

    @pytest.mark.parametrize(("minutes", "left"), [(29, ()), (30, (LISTED,))])
    def test_counts_for_half_an_hour(self, minutes: int, left: tuple[FetchRange, ...]) -> None:
        read = datetime(2026, 3, 10, 12, tzinfo=UTC)
        ledger = {self.KEY: a_record(self.KEY, started_at=read)}
        assert needed(UF.SP, (self.LISTED,), ledger, now=read + timedelta(minutes=minutes)) == left

    def test_does_not_stand_for_the_day_that_it_was_read_on(self) -> None:
        ledger = {self.KEY: a_record(self.KEY, range=self.LISTED)}
        published = FetchRange(modalidade=PREGAO, day_from=DAY, day_to=DAY)
        assert needed(UF.SP, (published,), ledger, now=datetime(2026, 3, 20, tzinfo=UTC)) == (published,)

    def test_is_reported_under_the_day_of_the_search(self) -> None:
        asked_at = datetime(2026, 3, 10, 12, tzinfo=UTC)
        ledger = {self.KEY: a_record(self.KEY, started_at=asked_at)}
        (said,) = runs(UF.SP, (PREGAO,), (OPEN_TODAY,), ledger, asked_at=asked_at, cut="cut")
        assert (said.day_from, said.day_to, said.days, said.status) == (DAY, DAY, 1, SliceStatus.COMPLETE)


class TestNeeded:
    NOW = datetime(2026, 3, 20, tzinfo=UTC)

    @given(day_sets, st.booleans())
    def test_asks_for_every_slice_that_is_due_and_no_other(self, read: set[date], national: bool) -> None:
        uf = None if national else UF.SP
        asked = FetchRange(modalidade=None if national else PREGAO, day_from=DAYS[0], day_to=DAYS[-1])
        keys = [key for key in slices_of_ranges(uf, (asked,)) if key.day in read]
        ledger = {key: a_record(key, started_at=self.NOW) for key in keys}

        left = needed(uf, (asked,), ledger, now=self.NOW)

        assert {key.day for key in slices_of_ranges(uf, left)} == set(DAYS) - read

    def test_asks_for_a_national_day_when_one_slice_of_it_is_missing(self) -> None:
        asked = FetchRange(modalidade=None, day_from=DAY, day_to=DAY)
        ledger = {key: a_record(key, started_at=self.NOW) for key in slices_of_ranges(None, (asked,))}
        assert needed(None, (asked,), ledger, now=self.NOW) == ()
        del ledger[SliceKey(UF.AC, DISPENSA, DAY)]
        assert needed(None, (asked,), ledger, now=self.NOW) == (asked,)


class TestRuns:
    ASKED_AT = datetime(2026, 3, 20, tzinfo=UTC)

    @given(st.dictionaries(st.sampled_from(DAYS), st.tuples(statuses, st.booleans())), st.sets(st.sampled_from(DAYS)))
    def test_counts_each_asked_slice_exactly_once(
        self, read: dict[date, tuple[SliceStatus, bool]], asked: set[date]
    ) -> None:
        ledger = {}
        for day, (status, live) in read.items():
            key = SliceKey(UF.SP, PREGAO, day)
            ledger[key] = a_record(key, status=status, started_at=self.ASKED_AT if live else LONG_AGO)

        told = runs(UF.SP, (PREGAO, PREGAO, DISPENSA), [*asked, *asked], ledger, asked_at=self.ASKED_AT, cut="cut")

        slices = [(run.modalidade, day) for run in told for day in days_between(run.day_from, run.day_to)]
        assert sorted(slices) == sorted((modalidade, day) for modalidade in (PREGAO, DISPENSA) for day in asked)
        for run in told:
            for day in days_between(run.day_from, run.day_to):
                record = ledger.get(SliceKey(UF.SP, run.modalidade, day))
                assert run.status == (record.status if record else SliceStatus.NEVER)

    def test_tells_the_oldest_fetch_of_a_run(self) -> None:
        older = self.ASKED_AT - timedelta(hours=2)
        ledger = {
            SliceKey(UF.SP, PREGAO, DAYS[n]): a_record(SliceKey(UF.SP, PREGAO, DAYS[n]), started_at=at)
            for n, at in enumerate((self.ASKED_AT - timedelta(hours=1), older))
        }
        (run,) = runs(UF.SP, (PREGAO,), DAYS[:2], ledger, asked_at=self.ASKED_AT, cut="cut")
        assert (run.days, run.fetched_at, run.live) == (2, older, False)

    def test_counts_a_fetch_that_ended_after_the_search_was_asked_as_live(self) -> None:
        key = SliceKey(UF.SP, PREGAO, DAY)
        ledger = {key: a_record(key, started_at=self.ASKED_AT - timedelta(seconds=5))}
        (run,) = runs(UF.SP, (PREGAO,), (DAY,), ledger, asked_at=self.ASKED_AT, cut="cut")
        assert run.live

    def test_says_why_a_slice_is_missing(self) -> None:
        key = SliceKey(UF.SP, PREGAO, DAY)
        tried = {key: a_record(key, status=SliceStatus.FAILED, started_at=self.ASKED_AT)}
        before = {key: a_record(key, status=SliceStatus.FAILED, started_at=LONG_AGO)}
        whys = [
            runs(UF.SP, (PREGAO,), (DAY,), ledger, asked_at=self.ASKED_AT, cut="cut")[0].why
            for ledger in ({}, tried, before)
        ]
        assert whys == ["cut", "http.503", "cut"]


class TestTheIncrementalSync:
    CHANGED = FetchRange(modalidade=PREGAO, day_from=DAY, day_to=DAY, updated=True)
    READ = datetime(2026, 3, 10, 15, tzinfo=UTC)

    def test_never_makes_a_slice_complete(self) -> None:
        assert list(slices_of_end(an_end(range=self.CHANGED))) == []

    def test_is_always_needed(self) -> None:
        assert needed(UF.SP, (self.CHANGED,), {}, now=self.READ) == (self.CHANGED,)

    def test_knows_every_change_since_the_first_day_that_it_read(self) -> None:
        known = synced(None, an_end(range=self.CHANGED, started_at=self.READ))
        assert known == Synced(since=end_of_day(DAY - timedelta(days=1)), upto=self.READ)

    def test_goes_on_where_it_ended(self) -> None:
        known = Synced(since=self.READ - timedelta(days=5), upto=self.READ - timedelta(hours=1))
        assert synced(known, an_end(range=self.CHANGED, started_at=self.READ)) == Synced(known.since, self.READ)

    def test_begins_anew_after_a_hole(self) -> None:
        known = Synced(since=self.READ - timedelta(days=9), upto=self.READ - timedelta(days=2))
        assert synced(known, an_end(range=self.CHANGED, started_at=self.READ)) == synced(
            None, an_end(range=self.CHANGED, started_at=self.READ)
        )

    @pytest.mark.parametrize("status", [SliceStatus.PARTIAL, SliceStatus.FAILED])
    def test_learns_nothing_from_a_list_that_was_not_read_whole(self, status: SliceStatus) -> None:
        assert synced(None, an_end(status, range=self.CHANGED)) is None

    def test_renews_the_look_at_a_day_that_was_over(self) -> None:
        key = SliceKey(UF.SP, PREGAO, DAY)
        read = end_of_day(DAY) + timedelta(days=3)
        look = a_record(key, started_at=read)
        late = read + timedelta(hours=30)
        assert is_due(look, now=late)
        assert not is_due(replace(look, renewed_at=read + timedelta(hours=12)), now=late)

    def test_does_not_renew_the_look_at_a_day_that_went_on(self) -> None:
        key = SliceKey(UF.SP, PREGAO, DAY)
        read = end_of_day(DAY) - timedelta(hours=3)
        look = replace(a_record(key, started_at=read), renewed_at=read + timedelta(hours=2))
        assert is_due(look, now=read + timedelta(hours=1))
