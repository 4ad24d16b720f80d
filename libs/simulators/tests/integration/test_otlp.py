"""What a service exports, seen at the collector: sampled as asked, linked, and with nothing personal in it."""

import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace

from servicekit.settings import TelemetrySettings
from servicekit.telemetry.tracing import carried, link, message_span, request_span, span, trace_id, traced
from simulators.otlp import Collector

PHONE, MAIL, KEY = "+55 (11) 91234-5678", "fulana@exemplo.com.br", "farol_4f2a9c1e_0123456789abcdef0123456789abcdef"
ASKED_ELSEWHERE = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
NOT_KEPT_ELSEWHERE = {"traceparent": f"00-{'ef' * 16}-{'cd' * 8}-00"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def _settings(collector: Collector, *, rate: float = 1.0) -> TelemetrySettings:
    return TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{collector.server_port}", sampling_rate=rate)


class TestTraced:
    async def test_exports_a_request_and_what_it_causes_as_one_trace(self, collector: Collector) -> None:
        async with traced(_settings(collector)):
            with request_span("gateway", "POST", {}, begins=True), span("validate", search_id="s1", items_in=2):
                pass
        root, step = sorted(collector.spans, key=lambda each: each["parent_id"] or "")
        assert (root["name"], root["service"], step["name"]) == ("POST", "farol-gateway", "validate")
        assert (step["parent_id"], step["trace_id"]) == (root["span_id"], root["trace_id"])
        assert step["attributes"].items() >= {"search.id": "s1", "items_in": 2}.items()

    async def test_begins_a_trace_only_where_it_may(self, collector: Collector) -> None:
        async with traced(_settings(collector)):
            with request_span("gateway", "GET", {}, begins=False):
                assert trace_id() is None
            with message_span("cache", "cache-gather process", {}), span("fetch"):
                assert trace_id() is None
            with request_span("gateway", "GET", ASKED_ELSEWHERE, begins=False):
                assert trace_id() == "ab" * 16
        assert [each["trace_id"] for each in collector.spans] == ["ab" * 16]

    async def test_keeps_as_many_as_it_is_told_and_what_its_asker_keeps(self, collector: Collector) -> None:
        async with traced(_settings(collector, rate=0.0)):
            with request_span("gateway", "POST", {}, begins=True):
                assert trace_id() is not None
            with request_span("gateway", "POST", NOT_KEPT_ELSEWHERE, begins=True):
                pass
            with request_span("gateway", "POST", ASKED_ELSEWHERE, begins=True):
                pass
        assert [each["trace_id"] for each in collector.spans] == ["ab" * 16]

    async def test_links_a_fetch_to_every_search_that_it_serves(self, collector: Collector) -> None:
        other = {"traceparent": f"00-{'12' * 16}-{'34' * 8}-01"}
        async with traced(_settings(collector)):
            with message_span("fetcher", "fetcher-claim-pncp process", ASKED_ELSEWHERE) as fetch, carried(other):
                link(fetch)
        assert [(each["trace_id"], each["links"]) for each in collector.spans] == [("ab" * 16, ["12" * 16])]

    async def test_tells_nothing_personal_and_of_an_error_its_kind_alone(self, collector: Collector) -> None:
        async with traced(_settings(collector)):
            with (
                pytest.raises(ValueError, match="fulana"),
                request_span("gateway", "POST", {}, begins=True),
                span("validate", terms=f"{PHONE} {MAIL}", ufs=["SP", KEY]),
            ):
                raise ValueError(MAIL)
        text = str(collector.spans)
        assert all(canary not in text for canary in (PHONE, MAIL, KEY))
        assert {each["error"] for each in collector.spans} == {"ValueError"}
        assert all(each["attributes"]["duration_ms"] >= 0 for each in collector.spans)


class TestOff:
    async def test_makes_nothing_and_imports_nothing(self) -> None:
        async with traced(TelemetrySettings(otlp_endpoint="")):
            with request_span("gateway", "POST", ASKED_ELSEWHERE, begins=True) as made, span("validate") as step:
                assert not made.is_recording()
                assert not step.is_recording()
                assert trace.get_current_span() is trace.INVALID_SPAN

    async def test_loses_spans_and_nothing_else_when_the_collector_is_away(self, collector: Collector) -> None:
        nobody = TelemetrySettings(otlp_endpoint="http://127.0.0.1:9", sampling_rate=1)
        async with traced(nobody):
            with request_span("gateway", "POST", {}, begins=True), span("validate"):
                pass
        assert collector.spans == []
