from typing import Any

import pytest

from contracts.places import UF
from contracts.state import UfStatusKind
from farol.board import Board, JobState
from farol.sse import ServerEvent


def event(name: str, **data: Any) -> ServerEvent:
    return ServerEvent(name, data, "e-1")


@pytest.fixture
def board() -> Board:
    return Board.of([UF.SP, UF.MG, UF.SP])


class TestBoard:
    def test_has_one_line_a_uf(self, board: Board) -> None:
        assert list(board.ufs) == [UF.MG, UF.SP]

    def test_sums_what_each_source_read_of_a_uf(self, board: Board) -> None:
        for _ in range(2):
            board.apply(event("progress", progress=20, message="m", detail={"uf": "SP", "records": 30}))
        assert board.ufs[UF.SP].read == 60

    def test_never_moves_its_bar_back(self, board: Board) -> None:
        board.apply(event("progress", progress=70, message="m"))
        board.apply(event("progress", progress=20, message="m"))
        assert board.progress == 70

    def test_marks_a_uf_as_it_ended(self, board: Board) -> None:
        over = {"uf": "SP", "status": "partial", "coverage_pct": 80, "items_count": 1, "total_items": 55}
        board.apply(event("uf_completed", **over))
        line = board.ufs[UF.SP]
        assert (line.status, line.coverage_pct, line.found, line.read) == (UfStatusKind.PARTIAL, 80, 1, 55)
        assert board.message == "São Paulo: 1 licitação encontrada"

    @pytest.mark.parametrize("name", ["completed", "degraded", "failed"])
    def test_waits_for_both_reports_after_the_result(self, board: Board, name: str) -> None:
        board.apply(event(name, status=name))
        assert not board.finished
        board.apply(event("llm_ready", stage="llm_ready", progress=85))
        assert not board.finished
        board.apply(event("excel_ready", stage="excel_ready", progress=98))
        assert board.finished

    def test_is_finished_too_when_the_spreadsheet_failed_or_the_stream_was_closed(self, board: Board) -> None:
        board.apply(event("completed"))
        board.apply(event("llm_ready"))
        board.apply(event("progress", stage="excel_failed", progress=98, message="Não foi possível"))
        assert board.finished
        assert (board.spreadsheet, board.spreadsheet_message) == (JobState.FAILED, "Não foi possível")
        other = Board.of([UF.SP])
        other.apply(event("closed"))
        assert other.finished

    def test_lets_unknown_events_and_ufs_pass(self, board: Board) -> None:
        board.apply(event("revalidated", anything=1))
        board.apply(event("progress", progress=1, message="m", detail={"uf": "AC", "records": 3}))
        board.apply(event("uf_completed", uf="AC", status="complete"))
        assert not board.finished
        assert all(line.read == 0 for line in board.ufs.values())
