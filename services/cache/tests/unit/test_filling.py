from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.domain.filling import REST, due, held_whole, keys_of, lacking, not_complete, told
from cache.domain.ledger import SliceKey, SliceRecord, after_end
from cache.handlers.filling import AT_ONCE, AUDIT_EVERY, LASTS, SYNC_EVERY, Filler, Hot
from contracts.fetch import Bell, BellKind, FetchClaim, FetchRange, SliceStatus
from contracts.ledger import LedgerGap, LedgerWindow
from contracts.places import UF, UFS
from contracts.subjects import Outgoing
from contracts.values import Modalidade, Priority, Source
from contracts.when import days_between
from servicekit.errors import AlreadyInFlight, Rejected

PREGAO, DISPENSA = Modalidade.PREGAO_ELETRONICO, Modalidade.DISPENSA
COMPLETE, PARTIAL, FAILED = SliceStatus.COMPLETE, SliceStatus.PARTIAL, SliceStatus.FAILED


def record(make: Any, key: SliceKey, status: SliceStatus = COMPLETE, *, ago: timedelta = timedelta(0)) -> SliceRecord:
    end = make.end(status=status, started_at=make.now - ago, ended_at=make.now - ago)
    return after_end(None, key, end)


def by_key(records: Iterable[SliceRecord]) -> dict[SliceKey, SliceRecord]:
    return {each.key: each for each in records}


class TestLacking:
    def test_names_what_was_never_read_to_its_end_as_few_ranges(self, make: Any) -> None:
        days = make.days(4)
        asked = keys_of(Source.PNCP, (UF.SP,), (PREGAO, DISPENSA), days)
        held = by_key(record(make, SliceKey(UF.SP, PREGAO, day), ago=timedelta(days=90)) for day in days[1:3])
        lack = lacking(Source.PNCP, asked, held, wanted=not_complete, now=make.now)
        assert lack.slices == 6
        ((place, ranges),) = lack.places
        assert place is UF.SP
        assert ranges == (
            FetchRange(modalidade=PREGAO, day_from=days[0], day_to=days[0]),
            FetchRange(modalidade=PREGAO, day_from=days[3], day_to=days[3]),
            FetchRange(modalidade=DISPENSA, day_from=days[0], day_to=days[3]),
        )

    def test_asks_a_source_that_lists_the_country_whole_for_its_days_once(self, make: Any) -> None:
        days = make.days(2)
        asked = keys_of(Source.PCP, UFS, (PREGAO, DISPENSA), days)
        lack = lacking(Source.PCP, asked, {}, wanted=not_complete, now=make.now)
        assert lack.places == ((None, (FetchRange(modalidade=None, day_from=days[0], day_to=days[1]),)),)
        assert lack.slices == 2

    def test_lets_what_has_just_failed_rest(self, make: Any) -> None:
        day = make.today
        asked = keys_of(Source.PNCP, (UF.RJ, UF.SP), (PREGAO,), (day,))
        held = by_key(
            [
                record(make, SliceKey(UF.RJ, PREGAO, day), FAILED, ago=REST - timedelta(seconds=1)),
                record(make, SliceKey(UF.SP, PREGAO, day), PARTIAL, ago=REST),
            ]
        )
        lack = lacking(Source.PNCP, asked, held, wanted=not_complete, now=make.now)
        assert (lack.slices, lack.resting, [place for place, _ in lack.places]) == (2, 1, [UF.SP])

    def test_begins_with_the_place_left_alone_longest(self, make: Any) -> None:
        day = make.days(9)[0]
        asked = keys_of(Source.PNCP, (UF.AC, UF.RJ, UF.SP), (PREGAO,), (day,))
        held = by_key(
            record(make, SliceKey(uf, PREGAO, day), ago=timedelta(days=ago)) for uf, ago in ((UF.AC, 2), (UF.RJ, 3))
        )
        lack = lacking(Source.PNCP, asked, held, wanted=due(make.now), now=make.now)
        assert [place for place, _ in lack.places] == [UF.SP, UF.RJ, UF.AC]


class TestTold:
    @given(statuses=st.lists(st.sampled_from([None, COMPLETE, PARTIAL, FAILED]), min_size=1, max_size=31))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the builders keep no state
    def test_counts_each_slice_of_each_day_once(self, make: Any, statuses: list[SliceStatus | None]) -> None:
        days = make.days(len(statuses))
        asked = keys_of(Source.PNCP, (UF.SP,), (PREGAO, DISPENSA), days)
        held = by_key(
            record(make, SliceKey(UF.SP, PREGAO, day), status)
            for day, status in zip(days, statuses, strict=True)
            if status is not None
        )
        runs = told(Source.PNCP, asked, held, now=make.now)
        covered = [day for run in runs for day in days_between(run.day_from, run.day_to)]
        assert covered == list(days)
        for name, status in (("complete", COMPLETE), ("partial", PARTIAL), ("failed", FAILED)):
            assert sum(
                getattr(run, name) * len(days_between(run.day_from, run.day_to)) for run in runs
            ) == statuses.count(status)
        assert all(run.complete + run.partial + run.failed + run.never == 2 for run in runs)

    def test_says_what_would_be_read_again(self, make: Any) -> None:
        days = make.days(2)
        asked = keys_of(Source.PNCP, (UF.SP,), (PREGAO,), days)
        held = by_key(record(make, SliceKey(UF.SP, PREGAO, day), ago=timedelta(hours=1)) for day in days)
        (run_before, run_today) = told(Source.PNCP, asked, held, now=make.now)
        assert (run_before.due, run_today.due) == (0, 1)


def an_audit(make: Any, **more: Any) -> LedgerGap:
    plain = {
        "source": Source.PNCP, "uf": UF.SP, "modalidade": PREGAO, "day_from": make.days(9)[0], "day_to": make.today,
        "held": 0, "published": 0, "seen_at": make.now,
    }  # fmt: skip
    return LedgerGap(**{**plain, **more})


class TestHeldWhole:
    def test_is_the_row_of_complete_days_before_today(self, make: Any) -> None:
        days = make.days(6)
        held = by_key(record(make, SliceKey(UF.SP, PREGAO, day)) for day in (days[0], *days[2:]))
        held |= by_key([record(make, SliceKey(UF.SP, PREGAO, days[1]), PARTIAL)])
        assert held_whole(UF.SP, PREGAO, held, last=days[4]) == (days[2], days[4])
        assert held_whole(UF.SP, PREGAO, held, last=days[1]) is None


class Ledger:
    def __init__(self) -> None:
        self.records: list[SliceRecord] = []
        self.upto: dict[tuple[UF, Modalidade], datetime] = {}
        self.counted: list[LedgerGap] = []

    async def ledger(
        self, source: Source, *, ufs: Iterable[UF], first: date, last: date, **_asked: Any
    ) -> list[SliceRecord]:
        here = set() if source.national else set(ufs)
        return [each for each in self.records if each.key.uf in here and first <= each.key.day <= last]

    async def audits(self, source: Source) -> list[LedgerGap]:
        return [] if source.national else self.counted

    async def synced_upto(self, source: Source) -> dict[tuple[UF, Modalidade], datetime]:
        return self.upto


class Queue:
    """FETCH: one claim of a place at a time."""

    def __init__(self) -> None:
        self.taken: dict[str, FetchClaim] = {}
        self.busy: set[str] = set()

    async def publish(self, outgoing: Outgoing) -> None:
        if outgoing.subject in self.taken or outgoing.subject in self.busy:
            raise AlreadyInFlight(outgoing.subject)
        self.taken[outgoing.subject] = outgoing.value


class Stage:
    def __init__(self, make: Any) -> None:
        self.now: datetime = make.now
        self.ledger, self.queue = Ledger(), Queue()
        self.filler = Filler(memory=self.ledger, claims=self.queue, now=lambda: self.now)

    async def over(self, subject: str) -> None:
        claim = self.queue.taken.pop(subject)
        bell = Bell(kind=BellKind.ENDED, source=claim.source, uf=claim.uf, fetch_id=1, claim_done=True)
        assert self.filler.heard(bell)
        assert not self.filler.heard(bell), "it is told once"


@pytest.fixture
def stage(make: Any) -> Stage:
    return Stage(make)


def window(make: Any, *ufs: UF, count: int = 2, sources: tuple[Source, ...] = (Source.PNCP,)) -> LedgerWindow:
    days = make.days(count)
    return LedgerWindow(sources=sources, ufs=ufs, modalidades=(PREGAO,), day_from=days[0], day_to=days[-1])


class TestFill:
    async def test_begins_a_few_at_a_time_behind_every_search(self, stage: Stage, make: Any) -> None:
        asked = window(make, *UFS)
        reply = await stage.filler.fill(asked)
        assert (reply.left, reply.claimed, reply.unfinished) == (54, AT_ONCE, AT_ONCE)
        assert {claim.priority for claim in stage.queue.taken.values()} == {Priority.INGEST}
        assert (await stage.filler.fill(asked)).claimed == 0
        await stage.over(next(iter(stage.queue.taken)))
        assert (await stage.filler.fill(asked)).claimed == 1

    async def test_does_not_wait_for_ever_for_a_claim_whose_end_it_never_heard(self, stage: Stage, make: Any) -> None:
        await stage.filler.fill(window(make, *UFS))
        stage.queue.taken.clear()
        stage.now += LASTS
        assert (await stage.filler.fill(window(make, *UFS))).claimed == AT_ONCE

    async def test_leaves_a_place_that_another_fetches_to_it(self, stage: Stage, make: Any) -> None:
        stage.queue.busy = {"fetch.v1.pncp.AC"}
        reply = await stage.filler.fill(window(make, UF.AC, UF.SP))
        assert (reply.claimed, list(stage.queue.taken)) == (1, ["fetch.v1.pncp.SP"])

    @pytest.mark.parametrize("count", [0, 32])
    async def test_refuses_a_window_that_no_answer_holds(self, stage: Stage, make: Any, count: int) -> None:
        days = make.days(40)
        asked = window(make, UF.SP).model_copy(update={"day_from": days[-1], "day_to": days[-1] + timedelta(count - 1)})
        with pytest.raises(Rejected):
            await stage.filler.fill(asked)


class TestTell:
    async def test_says_how_much_of_a_window_is_held(self, stage: Stage, make: Any) -> None:
        stage.ledger.records = [record(make, SliceKey(UF.SP, PREGAO, make.today))]
        short, even = an_audit(make, held=80, published=81), an_audit(make, modalidade=DISPENSA, held=9, published=8)
        stage.ledger.counted = [short, even, an_audit(make, uf=UF.RJ, published=99)]
        reply = await stage.filler.tell(window(make, UF.SP, sources=tuple(Source)))
        assert reply.gaps == (short,)
        assert (reply.slices_asked, reply.slices_complete) == (4, 1)
        assert {(run.source, run.uf) for run in reply.runs} == {(Source.PNCP, UF.SP), (Source.PCP, None)}


class TestIngest:
    HOT = Hot(days=2, modalidades=(PREGAO,))

    def fresh(self, make: Any) -> list[SliceRecord]:
        return [record(make, SliceKey(uf, PREGAO, day)) for uf in UFS for day in make.days(2)]

    async def test_claims_what_a_search_would_have_read_again(self, stage: Stage, make: Any) -> None:
        stage.ledger.records = [each for each in self.fresh(make) if each.key.uf is not UF.SP]
        await stage.filler.ingest(self.HOT)
        days = make.days(2)
        whole = {"day_from": days[0], "day_to": days[1]}
        assert {subject: claim.ranges for subject, claim in stage.queue.taken.items()} == {
            "fetch.v1.pncp.SP": (FetchRange(modalidade=PREGAO, **whole),),
            "fetch.v1.pcp.BR": (FetchRange(modalidade=None, **whole),),
        }

    async def test_asks_what_was_changed_once_nothing_else_is_due(self, stage: Stage, make: Any) -> None:
        stage.ledger.records = self.fresh(make)
        known = make.now - timedelta(minutes=5)
        stage.ledger.upto = {(uf, PREGAO): known for uf in UFS}
        stage.ledger.upto[UF.SP, PREGAO] = make.now - timedelta(days=3)
        del stage.ledger.upto[UF.RJ, PREGAO]
        await stage.filler.ingest(self.HOT)
        asked = {claim.uf: claim.ranges for claim in stage.queue.taken.values() if claim.source is Source.PNCP}
        assert asked == {
            UF.RJ: (FetchRange(modalidade=PREGAO, day_from=make.today, day_to=make.today, updated=True),),
            UF.SP: (FetchRange(modalidade=PREGAO, day_from=make.days(4)[0], day_to=make.today, updated=True),),
        }

    async def test_asks_what_was_changed_every_few_hours(self, stage: Stage, make: Any) -> None:
        stage.ledger.records = self.fresh(make)
        stage.ledger.upto = {(uf, PREGAO): make.now - SYNC_EVERY + timedelta(minutes=1) for uf in UFS}
        stage.ledger.counted = [an_audit(make, uf=uf) for uf in UFS]
        await stage.filler.ingest(self.HOT)
        assert not [claim for claim in stage.queue.taken.values() if claim.source is Source.PNCP]

    async def test_has_the_source_count_once_a_day_what_is_held_whole(self, stage: Stage, make: Any) -> None:
        days = make.days(5)
        stage.ledger.records = [record(make, SliceKey(uf, PREGAO, day)) for uf in UFS for day in days]
        stage.ledger.upto = {(uf, PREGAO): make.now for uf in UFS}
        stage.ledger.counted = [
            an_audit(make, uf=uf, seen_at=make.now - (AUDIT_EVERY if uf is UF.SP else timedelta(hours=1))) for uf in UFS
        ]
        await stage.filler.ingest(self.HOT)
        (claim,) = (claim for claim in stage.queue.taken.values() if claim.source is Source.PNCP)
        counted = FetchRange(modalidade=PREGAO, day_from=days[0], day_to=days[2], count_only=True)
        assert (claim.uf, claim.ranges) == (UF.SP, (counted,))
