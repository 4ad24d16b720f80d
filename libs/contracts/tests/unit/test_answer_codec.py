import gzip
from datetime import UTC, date, datetime
from typing import Any

import pytest

from contracts.answer import Answer
from contracts.answer_codec import AnswerUnreadable, decode_answer, encode_answer
from contracts.places import UF
from contracts.query import DEFAULT_MODALIDADES, SearchQuery
from contracts.state import Counts, Coverage, OperationalState, ResponseState, Status
from contracts.values import Source


def answer(**changes: Any) -> Answer:
    now = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
    query = SearchQuery(
        ufs=(UF.SP,),
        terms=("uniforme",),
        date_from=date(2026, 11, 13),
        date_to=date(2026, 11, 22),
        modalidades=DEFAULT_MODALIDADES,
        sources=(Source.PNCP,),
    )
    coverage = Coverage(
        coverage_pct=100, ufs_requested=1, ufs_processed=1, ufs_failed=0, freshness=None, ufs_status_detail=()
    )
    fields: dict[str, Any] = {
        "search_id": "0" * 32,
        "revision": 1,
        "query": query,
        "status": Status.COMPLETED,
        "response_state": ResponseState.LIVE,
        "coverage": coverage,
        "operational_state": OperationalState.OPERATIONAL,
        "reliability": 100,
        "counts": Counts(),
        "results": (),
        "created_at": now,
        "finished_at": now,
    }
    return Answer(**{**fields, **changes})


class TestEncodeAnswer:
    def test_gives_equal_bytes_for_equal_answers(self) -> None:
        assert encode_answer(answer()) == encode_answer(answer())

    def test_is_read_back_as_it_was(self) -> None:
        assert decode_answer(encode_answer(answer(revision=7))) == answer(revision=7)


class TestDecodeAnswer:
    def test_refuses_to_unpack_more_than_the_limit(self) -> None:
        with pytest.raises(AnswerUnreadable, match="more than 1000 bytes"):
            decode_answer(gzip.compress(b" " * 10_000_000), limit=1000)

    def test_takes_an_answer_of_exactly_the_limit(self) -> None:
        packed = encode_answer(answer())
        assert decode_answer(packed, limit=len(answer().to_json())) == answer()

    @pytest.mark.parametrize(
        "packed",
        [b"", b"{}", encode_answer(answer())[:-20], gzip.compress(b"{}", mtime=0), gzip.compress(b"not json", mtime=0)],
    )
    def test_calls_anything_else_unreadable(self, packed: bytes) -> None:
        with pytest.raises(AnswerUnreadable):
            decode_answer(packed)
