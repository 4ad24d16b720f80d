from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.domain.batches import StoredBid
from cache.domain.gathering import CUT, END_RESERVE, REPORT_RESERVE, UNANSWERED_CLAIMS, Gathering
from cache.domain.ledger import OPEN_TODAY, SliceKey, SliceRecord, after_end
from contracts.classification import JudgeBids
from contracts.fetch import FetchRange, SliceStatus
from contracts.places import UF, UFS
from contracts.subjects import MAX_MESSAGE_BYTES
from contracts.values import MODALIDADES, Licitacao, Modalidade, Source

PREGAO, DISPENSA = Modalidade.PREGAO_ELETRONICO, Modalidade.DISPENSA
NO_DELAY = timedelta(0)
LINGER = timedelta(seconds=1)


@pytest.fixture
def told(make: Any) -> Any:
    """Ledger records as one end would make them."""

    def records(keys: Sequence[SliceKey], status: SliceStatus = SliceStatus.COMPLETE, **more: Any) -> list[SliceRecord]:
        end = make.end(status=status, **more)
        return [after_end(None, key, end) for key in keys]

    return records


@pytest.fixture
def held(make: Any) -> Any:
    def stored(bid: Licitacao, *, seen: timedelta = timedelta(seconds=1)) -> StoredBid:
        at = make.now + seen
        return StoredBid(bid=bid, hash=bid.content_hash, size=len(bid.to_json()), since=at, last_seen=at, store_seq=1)

    return stored


def keys(make: Any, uf: UF = UF.SP, days: int = 2) -> list[SliceKey]:
    return [SliceKey(uf, PREGAO, day) for day in make.days(days)]


def ids_of(commands: Sequence[JudgeBids]) -> list[str]:
    return [each.bid.id for command in commands for each in command.bids]


class TestClaims:
    def test_ask_per_uf_for_the_missing_days_of_each_modalidade(self, make: Any, told: Any) -> None:
        days = make.days(4)
        state = Gathering(
            make.gather(ufs=(UF.RJ, UF.SP), modalidades=(PREGAO, DISPENSA), days=days), reported=(), now=make.now
        )
        known = [SliceKey(UF.SP, PREGAO, days[1]), *(SliceKey(UF.SP, DISPENSA, day) for day in days)]
        state.learn(told(known), now=make.now, retry_delay=NO_DELAY)

        asked = {claim.uf: claim.ranges for claim in state.claims(now=make.now)}

        whole = {"day_from": days[0], "day_to": days[3]}
        assert asked == {
            UF.RJ: (FetchRange(modalidade=PREGAO, **whole), FetchRange(modalidade=DISPENSA, **whole)),
            UF.SP: (
                FetchRange(modalidade=PREGAO, day_from=days[0], day_to=days[0]),
                FetchRange(modalidade=PREGAO, day_from=days[2], day_to=days[3]),
            ),
        }

    def test_ask_once_for_the_country_where_the_source_only_lists_it_whole(self, make: Any, told: Any) -> None:
        days = make.days(3)
        gather = make.gather(source=Source.PCP, ufs=(UF.RJ, UF.SP), days=days)
        state = Gathering(gather, reported=(), now=make.now)
        known = [SliceKey(uf, PREGAO, days[0]) for uf in (UF.RJ, UF.SP)] + [SliceKey(UF.SP, PREGAO, days[1])]
        state.learn(told(known), now=make.now, retry_delay=NO_DELAY)
        (claim,) = state.claims(now=make.now)
        assert (claim.uf, claim.ranges) == (None, (FetchRange(modalidade=None, day_from=days[1], day_to=days[2]),))

    def test_end_early_enough_for_their_ends_to_be_reported(self, make: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        (claim,) = state.claims(now=make.now)
        assert claim.not_after == state.command.deadline - REPORT_RESERVE - END_RESERVE
        assert state.claims(now=claim.not_after) == []

    def test_are_made_once_more_after_a_failure_and_not_at_once(self, make: Any, told: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        later = timedelta(seconds=2)
        state.learn(told(keys(make), SliceStatus.FAILED), now=make.now, retry_delay=later)
        assert state.claims(now=make.now + timedelta(seconds=1)) == []
        assert len(state.claims(now=make.now + later)) == 1

        again = told(keys(make), SliceStatus.FAILED, fetch_id=8, started_at=make.now + later)
        state.learn(again, now=make.now + later, retry_delay=NO_DELAY)
        assert state.claims(now=make.now + later) == []
        assert state.finished(now=make.now + later) == [UF.SP]

    def test_are_made_after_a_failure_of_a_fetch_begun_before_the_search(self, make: Any, told: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        before = make.now - timedelta(seconds=1)
        failed = told(keys(make), SliceStatus.FAILED, started_at=before, ended_at=make.now)
        state.learn(failed, now=make.now, retry_delay=timedelta(seconds=9))
        assert len(state.claims(now=make.now)) == 1

    def test_say_when_they_are_a_second_try_and_make_what_was_never_tried_first(self, make: Any, told: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        assert [claim.again for claim in state.claims(now=make.now)] == [False]
        first, *others = keys(make)
        state.learn(told([first], SliceStatus.FAILED), now=make.now, retry_delay=NO_DELAY)
        (untried,) = state.claims(now=make.now)
        assert not untried.again
        assert first.day not in {each.day_from for each in untried.ranges}

        state.learn(told(others, fetch_id=8), now=make.now, retry_delay=NO_DELAY)
        (again,) = state.claims(now=make.now)
        assert again.again
        assert [(each.day_from, each.day_to) for each in again.ranges] == [(first.day, first.day)]

    def test_end_when_they_are_taken_away_again_and_again_without_a_word(self, make: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        made = []
        for second in range(120):
            now = make.now + timedelta(seconds=second)
            for claim in state.claims(now=now):
                state.claimed(claim, now=now)
                made.append(second)
        assert made == [0, 4, 12, 24]
        assert len(made) == UNANSWERED_CLAIMS + 1
        assert state.finished(now=now) == [UF.SP]

    def test_ask_for_the_list_of_what_is_open_where_no_days_are_named(self, make: Any, told: Any) -> None:
        listed = {"day_from": make.today, "day_to": make.today, "open_today": True}
        local = Gathering(make.gather(days=(), scope="open"), reported=(), now=make.now)
        (claim,) = local.claims(now=make.now)
        assert claim.ranges == (FetchRange(modalidade=PREGAO, **listed),)
        national = Gathering(make.gather(days=(), scope="open", source=Source.PCP), reported=(), now=make.now)
        assert national.claims(now=make.now)[0].ranges == (FetchRange(modalidade=None, **listed),)

        local.learn(told([SliceKey(UF.SP, PREGAO, OPEN_TODAY)]), now=make.now, retry_delay=NO_DELAY)
        local.caught_up()
        assert local.finished(now=make.now) == [UF.SP]
        assert [run.status for run in local.report(UF.SP, pages=0, now=make.now).runs] == [SliceStatus.COMPLETE]


class TestWaiting:
    def test_is_over_for_what_is_fresh(self, make: Any, told: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        recent = told(keys(make), started_at=make.now - timedelta(minutes=5))
        state.learn(recent, now=make.now, retry_delay=NO_DELAY)
        assert state.finished(now=make.now) == [UF.SP]

    def test_goes_on_for_what_is_fresh_when_told_to_refresh(self, make: Any, told: Any) -> None:
        state = Gathering(make.gather(force_refresh=True), reported=(), now=make.now)
        recent = told(keys(make), started_at=make.now - timedelta(minutes=5))
        state.learn(recent, now=make.now, retry_delay=NO_DELAY)
        assert state.waits_for(UF.SP)
        assert state.claims(now=make.now)[0].newer_than == make.now
        state.learn(told(keys(make)), now=make.now, retry_delay=NO_DELAY)
        assert not state.waits_for(UF.SP)

    def test_is_over_for_everything_at_the_report(self, make: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        assert state.finished(now=state.report_at - timedelta(microseconds=1)) == []
        assert state.finished(now=state.report_at) == [UF.SP]

    def test_leaves_out_what_was_reported_before(self, make: Any) -> None:
        state = Gathering(make.gather(ufs=(UF.RJ, UF.SP)), reported=[UF.RJ], now=make.now)
        assert state.ufs == (UF.SP,)
        assert [claim.uf for claim in state.claims(now=make.now)] == [UF.SP]


class TestTaking:
    def test_emits_a_content_once_and_a_newer_one_again(self, make: Any, held: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        old, new = make.bid(), make.bid(objeto="Aquisição retificada")
        state.take([held(old), held(old)], now=make.now)
        state.take([held(old)], now=make.now)
        state.take([held(new)], now=make.now)
        commands = state.ready(now=make.now, linger=LINGER, flush={UF.SP})
        assert ids_of(commands) == [old.id, new.id]
        assert state.report(UF.SP, pages=0, now=make.now).records == 1

    def test_leaves_a_stored_bid_of_a_slice_that_is_waited_for_to_the_end(self, make: Any, held: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        stored = held(make.bid(), seen=-timedelta(hours=2))
        state.take([stored], now=make.now)
        assert state.ready(now=make.now, linger=LINGER, flush={UF.SP}) == []
        assert state.passed_over(UF.SP)
        state.take([stored], now=make.now, last=True)
        (command,) = state.ready(now=make.now, linger=LINGER, flush={UF.SP})
        assert [each.live for each in command.bids] == [False]

    def test_emits_a_stored_bid_of_a_fresh_slice_at_once(self, make: Any, held: Any, told: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        state.learn(told(keys(make)), now=make.now, retry_delay=NO_DELAY)
        state.take([held(make.bid(), seen=-timedelta(hours=2))], now=make.now)
        assert len(state.ready(now=make.now, linger=LINGER, flush={UF.SP})) == 1

    def test_takes_what_is_open_whenever_it_was_published(self, make: Any, held: Any) -> None:
        state = Gathering(make.gather(days=(), scope="open"), reported=(), now=make.now)
        later, before = make.now + timedelta(days=1), make.now - timedelta(minutes=1)
        closing = make.bid(1, data_encerramento=later, day=make.days(300)[0])
        closed = make.bid(2, data_encerramento=before)
        unknown = make.bid(3)
        listed = [
            replace(held(make.bid(n, data_encerramento=at)), open_seen=make.now) for n, at in ((4, None), (5, before))
        ]
        state.take([held(closing), held(closed), held(unknown), *listed], now=make.now)
        commands = state.ready(now=make.now, linger=LINGER, flush={UF.SP})
        assert ids_of(commands) == [closing.id, *(each.bid.id for each in listed)]

    def test_leaves_out_what_was_not_asked(self, make: Any, held: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        strangers = [
            make.bid(1, uf=UF.RJ),
            make.bid(2, uf=UF.XX),
            make.bid(3, modalidade=DISPENSA),
            make.bid(4, day=make.days(3)[0]),
            make.bid(5, source=Source.PCP),
        ]
        state.take([held(bid) for bid in strangers], now=make.now, last=True)
        assert state.ready(now=make.now, linger=LINGER, flush=tuple(UF)) == []

    def test_lets_an_unfilled_batch_linger(self, make: Any, held: Any) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        state.take([held(make.bid(number)) for number in range(1, 61)], now=make.now)
        assert [len(each.bids) for each in state.ready(now=make.now, linger=LINGER)] == [50]
        assert state.ready(now=make.now + LINGER / 2, linger=LINGER) == []
        assert [len(each.bids) for each in state.ready(now=make.now + LINGER, linger=LINGER)] == [10]
        assert not state.holds_any


class TestReport:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the builders keep no state
    @given(groups=st.lists(st.lists(st.integers(1, 40), max_size=20), max_size=6))
    def test_names_batches_that_cover_every_bid_however_it_came(
        self, make: Any, held: Any, groups: list[list[int]]
    ) -> None:
        state = Gathering(make.gather(), reported=(), now=make.now)
        emitted: dict[str, JudgeBids] = {}
        for step, group in enumerate(groups):
            at = make.now + LINGER * step / 2
            state.take([held(make.bid(number)) for number in group], now=at)
            emitted.update({each.batch: each for each in state.ready(now=at, linger=LINGER)})
        emitted.update({each.batch: each for each in state.ready(now=make.now, linger=LINGER, flush={UF.SP})})

        fact = state.report(UF.SP, pages=0, now=make.now)

        came = {make.bid(number).id for group in groups for number in group}
        assert set(fact.batches) == set(emitted)
        assert set(ids_of(list(emitted.values()))) == came
        assert fact.records == len(came)

    def test_lists_the_bids_without_a_uf_with_the_last_one(self, make: Any, held: Any) -> None:
        state = Gathering(make.gather(source=Source.PCP, ufs=UFS), reported=(), now=make.now)
        state.take([held(make.bid(1, source=Source.PCP, uf=UF.XX))], now=make.now, last=True)
        (command,) = state.ready(now=make.now, linger=LINGER, flush={UF.XX})
        facts = [state.report(uf, pages=0, now=make.now) for uf in UFS]
        assert [fact.batches for fact in facts] == [()] * 26 + [(command.batch,)]
        assert [fact.records for fact in facts] == [0] * 26 + [1]

    def test_says_of_each_asked_slice_what_is_known(self, make: Any, told: Any) -> None:
        first, second = keys(make)
        state = Gathering(make.gather(), reported=(), now=make.now)
        state.learn(told([first]), now=make.now, retry_delay=NO_DELAY)
        state.caught_up()
        fact = state.report(UF.SP, pages=3, now=make.now + timedelta(seconds=2))
        assert [(run.day_from, run.status, run.why, run.live) for run in fact.runs] == [
            (first.day, SliceStatus.COMPLETE, None, True),
            (second.day, SliceStatus.NEVER, CUT, False),
        ]
        assert (fact.pages, fact.duration_ms) == (3, 2000)

    def test_fits_one_message_whatever_a_year_of_every_modalidade_looks_like(self, make: Any, told: Any) -> None:
        command = make.gather(modalidades=tuple(MODALIDADES), days=make.days(365))
        state = Gathering(command, reported=(), now=make.now)
        every_other = [SliceKey(UF.SP, each, day) for each in command.modalidades for day in command.days[::2]]
        state.learn(told(every_other), now=make.now, retry_delay=NO_DELAY)
        state.caught_up()
        fact = state.report(UF.SP, pages=0, now=make.now)
        assert len(fact.to_json()) < MAX_MESSAGE_BYTES
        assert sum(run.days for run in fact.runs) == 365 * len(MODALIDADES)


class TestOverhearing:
    def test_takes_the_bids_at_once_and_the_slices_when_every_page_was_heard(self, make: Any) -> None:
        state = Gathering(make.gather(days=make.days(1)), reported=(), now=make.now)
        pages = [make.page(make.bid(number), page=number) for number in (1, 2)]
        for message in (pages[0], make.end(*pages)):
            state.overhear(message, now=make.now, retry_delay=NO_DELAY)
        assert state.waits_for(UF.SP)
        state.overhear(pages[1], now=make.now, retry_delay=NO_DELAY)
        assert not state.waits_for(UF.SP)
        assert len(ids_of(state.ready(now=make.now, linger=LINGER, flush={UF.SP}))) == 2
        (run,) = state.report(UF.SP, pages=0, now=make.now).runs
        assert (run.status, run.live) == (SliceStatus.COMPLETE, True)
