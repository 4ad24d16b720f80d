from datetime import timedelta

from contracts.classification import Arbitrated
from contracts.fetch import SliceStatus
from contracts.fold import SearchState
from contracts.places import UF
from contracts.samples import NOW, SEARCH_ID, gathered, judged, planned, requested
from contracts.search import Cancelled
from contracts.state import OperationalState, ResponseState, Status
from contracts.values import Source
from coordinator.domain.close import UNAVAILABLE, answer_of, message_of

REQUEST = requested(UF.SP, UF.RJ, sources=(Source.PNCP,))
PLANNED = planned(REQUEST)
END = NOW + timedelta(seconds=9)


def answer(*facts):
    state = SearchState(SEARCH_ID)
    for sequence, fact in enumerate((REQUEST, PLANNED, *facts), start=1):
        state.apply(sequence, fact)
    return answer_of(state, now=END)


class TestAnswerOf:
    def test_is_completed_when_everything_was_looked_at(self):
        got = answer(gathered(UF.SP, batches=("a",)), gathered(UF.RJ), judged("a", accepted=(1, 2), rejected=(3,)))

        assert (got.status, got.response_state, len(got.results)) == (Status.COMPLETED, ResponseState.LIVE, 2)
        assert got.operational_state is OperationalState.OPERATIONAL
        assert got.degraded is None
        assert message_of(got) is None

    def test_is_a_true_empty_list_when_all_was_looked_at_and_nothing_fits(self):
        got = answer(gathered(UF.SP, batches=("a",)), gathered(UF.RJ), judged("a", rejected=(3,)))

        assert (got.status, got.results) == (Status.COMPLETED, ())
        assert "Nenhuma licitação" in (message_of(got) or "")

    def test_is_empty_failure_when_nothing_could_be_read(self):
        got = answer(gathered(UF.SP, status=SliceStatus.FAILED), gathered(UF.RJ, status=SliceStatus.FAILED))

        assert (got.status, got.response_state) == (Status.EMPTY_FAILURE, ResponseState.EMPTY_FAILURE)
        assert got.operational_state is OperationalState.UNAVAILABLE
        assert message_of(got) == UNAVAILABLE
        assert "indisponíveis" in UNAVAILABLE
        assert "Nenhuma licitação" not in UNAVAILABLE

    def test_is_degraded_and_says_what_is_missing(self):
        got = answer(
            gathered(UF.SP, batches=("a",)), gathered(UF.RJ, status=SliceStatus.PARTIAL), judged("a", accepted=(1,))
        )

        assert (got.status, got.coverage.coverage_pct) == (Status.DEGRADED, 50)
        assert got.degraded is not None
        assert "50%" in got.degraded.reason
        assert "RJ" in got.degraded.reason
        assert "SP" not in got.degraded.reason

    def test_names_a_source_that_gave_nothing_only_in_its_field(self):
        state = SearchState(SEARCH_ID)
        request = requested(UF.SP)
        for sequence, fact in enumerate(
            (request, planned(request), gathered(UF.SP), gathered(UF.SP, Source.PCP, status=SliceStatus.FAILED)),
            start=1,
        ):
            state.apply(sequence, fact)
        got = answer_of(state, now=END)

        assert got.degraded is not None
        assert got.degraded.sources_failed == (Source.PCP,)
        assert "pcp" not in got.degraded.reason.lower()

    def test_is_degraded_when_a_slice_is_stale(self):
        got = answer(gathered(UF.SP, live=False, age=timedelta(hours=7)), gathered(UF.RJ))

        assert got.status is Status.DEGRADED
        assert got.coverage.coverage_pct == 100

    def test_does_not_count_what_was_read_and_not_judged(self):
        got = answer(gathered(UF.SP, batches=("never",)), gathered(UF.RJ))

        assert (got.status, got.coverage.coverage_pct) == (Status.DEGRADED, 50)
        assert got.coverage.ufs_status_detail[1].reasons == ("timeout.judge",)

    def test_settles_what_is_uncertain_by_rules(self):
        got = answer(gathered(UF.SP, batches=("a",)), gathered(UF.RJ), judged("a", accepted=(1,), uncertain=(4, 5)))

        assert (got.counts.accepted, got.counts.uncertain, got.llm_pending) == (3, 0, 2)
        assert got.counts.fetched == got.counts.accepted + got.counts.rejected
        assert [row.confidence_score for row in got.results] == [95, 50, 50]

    def test_shows_in_what_it_settles_how_far_the_items_matched(self):
        verdicts = judged("a", uncertain=(4,))
        (bid,) = verdicts.uncertain
        said = {"trace": ("items:1/2",), "reasons": ("1 de 2 itens inspecionados é do que se busca: “Camiseta”.",)}
        looked = bid.model_copy(update={"verdict": bid.verdict.model_copy(update=said)})
        got = answer(
            gathered(UF.SP, batches=("a",)),
            gathered(UF.RJ),
            verdicts,
            Arbitrated(search_id=SEARCH_ID, batch="items-1", left_open=(looked,)),
        )

        assert [(row.trace, row.reasons) for row in got.results] == [(said["trace"], said["reasons"])]
        assert got.llm_pending == 1

    def test_keeps_what_was_found_when_cancelled(self):
        got = answer(
            gathered(UF.SP, batches=("a",)), judged("a", accepted=(1,)), Cancelled(search_id=SEARCH_ID, at=NOW)
        )

        assert (got.status, len(got.results)) == (Status.CANCELLED, 1)
