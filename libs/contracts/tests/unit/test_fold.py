from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.classification import Arbitrated, RejectedBid, RejectReason
from contracts.fetch import SliceStatus
from contracts.fold import ABANDONED_AFTER, SearchState
from contracts.places import UF
from contracts.report import ObjectRef
from contracts.samples import NOW, SEARCH_ID, bid, gathered, judged, planned, requested
from contracts.search import Closed, Completed, Lease
from contracts.state import JobStatus, OperationalState, ResponseState, Status
from contracts.values import Source


def left_open(number, step):
    (uncertain,) = judged("b", uncertain=(number,)).uncertain
    return uncertain.model_copy(update={"verdict": uncertain.verdict.model_copy(update={"trace": (step,)})})


REQUEST = requested(UF.SP, UF.RJ, sources=(Source.PNCP,))
LOG = (
    REQUEST,
    Lease(search_id=SEARCH_ID, owner="a", at=NOW),
    planned(REQUEST),
    judged("pncp-SP-1", accepted=(1, 2), rejected=(3,)),
    gathered(UF.SP, batches=("pncp-SP-1", "pncp-SP-2"), records=5),
    judged("pncp-SP-2", accepted=(2,), uncertain=(4, 5)),
    gathered(UF.RJ, batches=("pncp-RJ-1",), records=1),
    judged("pncp-RJ-1", uf=UF.RJ, accepted=(6,), part=1, parts=2),
    judged("pncp-RJ-1", uf=UF.RJ, rejected=(7,), part=2, parts=2),
    Arbitrated(
        search_id=SEARCH_ID,
        batch="arb-1",
        rejected=(RejectedBid(id=bid(4).id, seen_at=NOW, reason=RejectReason.LLM),),
        left_open=(left_open(5, "items:1/20"),),
    ),
    Arbitrated(search_id=SEARCH_ID, batch="items-1", left_open=(left_open(4, "items:1/2"), left_open(5, "items:1/3"))),
)
NUMBERED = tuple(enumerate(LOG, start=10))


def folded(facts):
    state = SearchState(SEARCH_ID)
    for sequence, fact in facts:
        state.apply(sequence, fact)
    return state


def completed(state: SearchState, status: Status = Status.COMPLETED) -> Completed:
    return Completed(
        search_id=SEARCH_ID,
        status=status,
        response_state=ResponseState.LIVE,
        answer_ref=None,
        counts=state.counts(),
        coverage=state.coverage(over=True),
        operational_state=OperationalState.OPERATIONAL,
        reliability=100,
        at=NOW + timedelta(seconds=5),
    )


class TestSearchState:
    def test_waits_for_no_part_of_a_batch_that_two_versions_of_the_judge_cut_differently(self):
        parts = (judged("b", accepted=(1,), part=1, parts=2), *(judged("b", part=n, parts=3) for n in (2, 3)))
        assert folded(enumerate(parts, start=1)).judged("b")

    def test_gives_up_the_reports_of_a_completed_search_that_nobody_closed(self):
        state = folded(NUMBERED)
        ref = ObjectRef(bucket="ANSWERS", name="a", size=1, sha256="0")
        state.apply(90, completed(state).model_copy(update={"answer_ref": ref}))
        during, after = state.view(NOW + timedelta(seconds=9)), state.view(NOW + ABANDONED_AFTER)
        assert (during.llm_status, during.excel_status) == (JobStatus.PROCESSING, JobStatus.PROCESSING)
        assert (after.llm_status, after.excel_status, after.progress) == (JobStatus.FAILED, JobStatus.FAILED, 100)
        assert after.status is Status.COMPLETED

    @given(st.permutations(NUMBERED), st.lists(st.sampled_from(NUMBERED), max_size=8))
    def test_is_the_same_in_any_order_and_with_repeats(self, order, repeats):
        reference = folded(NUMBERED)
        state = folded([*order, *repeats])

        assert state.view(NOW) == reference.view(NOW)
        assert state.standings() == reference.standings()
        assert state.everything_judged == reference.everything_judged

    def test_counts_distinct_bids_and_always_adds_up(self):
        counts = folded(NUMBERED).counts()

        assert (counts.fetched, counts.accepted, counts.rejected, counts.uncertain) == (7, 3, 3, 1)

    def test_is_judged_only_when_every_part_of_every_batch_is_here(self):
        assert not folded(NUMBERED[:8]).everything_judged
        assert folded(NUMBERED[:9]).everything_judged

    def test_lets_the_newer_content_win_whatever_came_first(self):
        newer = judged("pncp-SP-9", rejected=(1,), seen_at=NOW + timedelta(minutes=1))
        for sequence in (2, 99):
            state = folded([*NUMBERED, (sequence, newer)])
            assert isinstance(state.standings()[bid(1).id], RejectedBid)

    def test_lets_the_lower_sequence_win_between_equal_contents(self):
        state = folded([(5, judged("b1", rejected=(1,))), (4, judged("b2", accepted=(1,)))])

        assert not isinstance(state.standings()[bid(1).id], RejectedBid)

    def test_keeps_what_the_items_said_of_a_bid_that_they_leave_open(self):
        assert [each.verdict.trace for each in folded(NUMBERED).uncertain()] == [("items:1/20",)]

    def test_keeps_nothing_that_the_items_said_of_another_content(self):
        newer = judged("pncp-SP-9", uncertain=(5,), seen_at=NOW + timedelta(minutes=1))
        (uncertain,) = folded([*NUMBERED, (99, newer)]).uncertain()
        assert uncertain == newer.uncertain[0]

    def test_ignores_what_it_does_not_know(self):
        state = folded([*NUMBERED, (98, object())])

        assert state.view(NOW) == folded(NUMBERED).view(NOW)

    def test_finds_nothing_more_after_completed(self):
        state = folded(NUMBERED)
        state.apply(50, completed(state))
        before = state.view(NOW)
        state.apply(51, judged("late", accepted=(40,)))
        state.apply(52, gathered(UF.SP, Source.PCP))

        assert state.view(NOW) == before
        assert bid(40).id not in state.standings()

    def test_changes_after_closed_in_nothing_but_who_holds_it(self):
        state = folded(NUMBERED)
        state.apply(50, completed(state))
        state.apply(51, Closed(search_id=SEARCH_ID, at=NOW))
        before = state.view(NOW)
        state.apply(52, Lease(search_id=SEARCH_ID, owner="b", at=NOW))

        assert state.lease_sequence == 52, "whoever comes to file it away waits for its own lease"
        assert state.view(NOW) == before
        assert before.progress == 100

    def test_counts_as_ended_when_nobody_closed_it(self):
        state = folded(NUMBERED)

        assert state.view(NOW + ABANDONED_AFTER - timedelta(seconds=1)).status is Status.RUNNING
        assert state.view(NOW + ABANDONED_AFTER).status is Status.DEGRADED
        assert folded(NUMBERED[:1]).view(NOW + ABANDONED_AFTER).status is Status.EMPTY_FAILURE

    def test_keeps_the_first_report_of_a_place(self):
        state = folded([*NUMBERED, (60, gathered(UF.SP, status=SliceStatus.FAILED))])

        assert state.gathered[Source.PNCP, UF.SP].batches

    def test_leaves_itself_alone_when_asked_what_would_follow(self):
        state = folded(NUMBERED[:8])
        after = state.after(*NUMBERED[8])

        assert after.everything_judged
        assert not state.everything_judged
        assert state.counts().fetched == 6
