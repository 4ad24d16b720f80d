import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farol import sse
from farol.sse import Decoder, ServerEvent, StreamBrokenError

WIRE = (
    b"retry: 1000\n\n"
    b'id: ab-7.1\nevent: progress\ndata: {"progress":5,"message":"Consultando S\xc3\xa3o Paulo"}\n\n'
    b": ping\n\n"
    b'event: reconnect\r\ndata: {"message":"x"}\r\n\r\n'
    b'id: ab-9\nevent: closed\ndata: {"a":\ndata: [1]}\n\n'
)
EVENTS = [
    ServerEvent("progress", {"progress": 5, "message": "Consultando São Paulo"}, "ab-7.1"),
    ServerEvent("reconnect", {"message": "x"}, None),
    ServerEvent("closed", {"a": [1]}, "ab-9"),
]


class TestDecoder:
    @given(st.lists(st.integers(1, len(WIRE) - 1)))
    def test_reads_the_same_events_however_the_network_cut_them(self, cuts: list[int]) -> None:
        decoder = Decoder()
        edges = [0, *sorted(set(cuts)), len(WIRE)]
        chunks = [WIRE[start:end] for start, end in itertools.pairwise(edges)]
        assert [event for chunk in chunks for event in decoder.feed(chunk)] == EVENTS

    def test_refuses_an_endless_event(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
        decoder = Decoder()
        with pytest.raises(StreamBrokenError, match="8 MB"):
            list(decoder.feed(b"data: " + b"x" * 200))

    def test_refuses_what_is_no_json(self) -> None:
        with pytest.raises(StreamBrokenError, match="no JSON"):
            list(Decoder().feed(b"event: progress\ndata: <html>\n\n"))
