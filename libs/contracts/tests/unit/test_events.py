from hypothesis import given
from hypothesis import strategies as st

from contracts.events import EventName, events_of
from contracts.fold import SearchState
from contracts.places import UF
from contracts.report import ObjectRef, SpreadsheetFailed, SpreadsheetReady, Summary, SummaryReady
from contracts.samples import NOW, SEARCH_ID, gathered, judged, planned, requested
from contracts.search import Closed, Completed
from contracts.state import OperationalState, ResponseState, Status
from contracts.values import Source

REQUEST = requested(UF.SP, UF.RJ)


def completed(status: Status) -> Completed:
    state = SearchState(SEARCH_ID)
    state.apply(1, REQUEST)
    state.apply(2, planned(REQUEST))
    return Completed(
        search_id=SEARCH_ID, status=status, response_state=ResponseState.LIVE, answer_ref=None, counts=state.counts(),
        coverage=state.coverage(over=True), operational_state=OperationalState.OPERATIONAL, reliability=0, at=NOW,
    )  # fmt: skip


FILE = ObjectRef(bucket="FILES", name="f", size=1, sha256="0")
LOG = (
    REQUEST,
    planned(REQUEST),
    gathered(UF.SP, batches=("a",), records=3),
    judged("a", accepted=(1, 2), rejected=(3,)),
    gathered(UF.SP, Source.PCP),
    gathered(UF.RJ, Source.PCP, batches=("b",), records=1),
    gathered(UF.RJ, batches=("c",)),
    judged("b", uf=UF.RJ, accepted=(5,)),
    judged("c", uf=UF.RJ, rejected=(6,)),
    completed(Status.COMPLETED),
    SummaryReady(search_id=SEARCH_ID, revision=1, summary=Summary(text="Duas.")),
    SpreadsheetReady(search_id=SEARCH_ID, revision=1, file=FILE, rows=3),
    Closed(search_id=SEARCH_ID, at=NOW),
)


def told(facts):
    state, events = SearchState(SEARCH_ID), []
    for sequence, fact in enumerate(facts, start=1):
        events += [(sequence, event) for event in events_of(state, sequence, fact)]
        state.apply(sequence, fact)
    return events


class TestEventsOf:
    def test_tells_a_uf_once_its_last_source_is_gathered_and_judged(self):
        over = [(sequence, event.data["uf"]) for sequence, event in told(LOG) if event.name is EventName.UF_COMPLETED]

        assert over == [(5, "SP"), (9, "RJ")]

    def test_gives_the_rows_of_a_finished_uf(self):
        partial = [event.data for _, event in told(LOG) if event.name is EventName.PARTIAL_RESULTS]

        assert [(each["uf"], each["total"]) for each in partial] == [("SP", 2), ("RJ", 1)]

    @given(st.permutations(LOG[2:9]))
    def test_tells_each_uf_exactly_once_in_any_order_of_its_facts(self, order):
        events = told([*LOG[:2], *order])

        assert sorted(e.data["uf"] for _, e in events if e.name is EventName.UF_COMPLETED) == ["RJ", "SP"]

    def test_says_nothing_twice(self):
        repeated = [fact for fact in LOG for _ in range(2)]
        names = [event.name for _, event in told(repeated)]

        assert names == [event.name for _, event in told(LOG)]

    def test_ends_with_the_jobs_and_closed(self):
        names = [event.name for _, event in told(LOG)][-4:]

        assert names == [EventName.COMPLETED, EventName.LLM_READY, EventName.EXCEL_READY, EventName.CLOSED]

    def test_names_the_terminal_event_by_the_status(self):
        names = {
            status: told([REQUEST, planned(REQUEST), completed(status)])[-1][1].name
            for status in (Status.COMPLETED, Status.DEGRADED, Status.EMPTY_FAILURE, Status.CANCELLED)
        }

        assert names == {
            Status.COMPLETED: EventName.COMPLETED,
            Status.DEGRADED: EventName.DEGRADED,
            Status.EMPTY_FAILURE: EventName.FAILED,
            Status.CANCELLED: EventName.COMPLETED,
        }

    def test_says_in_words_that_the_spreadsheet_failed(self):
        failed = SpreadsheetFailed(search_id=SEARCH_ID, revision=1, message="Não foi possível gerar a planilha.")
        event = told([*LOG[:10], failed])[-1][1]

        assert event.name is EventName.PROGRESS
        assert event.data["message"] == "Não foi possível gerar a planilha."

    def test_gives_every_progress_its_four_fields(self):
        for _, event in told(LOG):
            if event.name in {EventName.PROGRESS, EventName.LLM_READY, EventName.EXCEL_READY}:
                assert event.data.keys() == {"stage", "progress", "message", "detail"}
