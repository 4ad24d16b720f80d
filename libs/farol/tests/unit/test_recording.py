import gzip
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.report import ObjectRef
from contracts.samples import NOW, SEARCH_ID, planned, requested, sighted
from contracts.subjects import PLANNED, REQUESTED
from farol.recording import Recording, RecordingUnreadable, read, write
from servicekit.bus import Stored

ASKED = requested()
FACTS = tuple(
    Stored(
        sequence=number, subject=outgoing.subject, body=outgoing.body, time=NOW + timedelta(seconds=number),
        correlation_id="c", event_id=outgoing.msg_id,
    )
    for number, outgoing in enumerate(
        (REQUESTED.message(ASKED, search_id=SEARCH_ID), PLANNED.message(planned(ASKED), search_id=SEARCH_ID)), start=7
    )
)  # fmt: skip
REF = ObjectRef(bucket="FILES", name="f", size=3, sha256="0")
BID = sighted(3)
WHOLE = Recording(SEARCH_ID, FACTS, {"f": (REF, b"\x00\xff!")}, {BID.bid.id: BID})


class TestRecording:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        write(WHOLE, tmp_path / "a")
        again = read(tmp_path / "a")
        assert (again.search_id, again.objects, again.rejected) == (SEARCH_ID, WHOLE.objects, WHOLE.rejected)
        assert list(again.decoded()) == [
            (fact, decoded) for fact, (_, decoded) in zip(again.facts, WHOLE.decoded(), strict=True)
        ]
        assert again.state() == WHOLE.state()

    def test_makes_the_same_bytes_of_the_same_search(self, tmp_path: Path) -> None:
        write(WHOLE, tmp_path / "a")
        write(WHOLE, tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    @pytest.mark.parametrize(
        "content",
        [b"", b"text", *(gzip.compress(text, mtime=0) for text in (b'{"kind": "other"}\n', b"[1]\n", b"\n"))],
    )
    def test_refuses_what_is_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(RecordingUnreadable):
            read(tmp_path / "a")

    def test_refuses_a_file_that_was_cut(self, tmp_path: Path) -> None:
        write(WHOLE, tmp_path / "a")
        (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-20])
        with pytest.raises(RecordingUnreadable, match="cortado"):
            read(tmp_path / "a")

    def test_folds_up_to_a_sequence(self) -> None:
        assert WHOLE.state(upto=7).planned is None
        assert WHOLE.state(upto=8).planned is not None
