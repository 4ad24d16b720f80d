from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from servicekit.telemetry.measures import ACTIVE_SEARCHES, FETCH_SECONDS, MEASURES, MOST_SERIES, SEARCHES, SSE_CLIENTS
from servicekit.telemetry.meters import OPEN_METRICS, Counter, Gauge, Histogram, Meter, exposition, switched_on
from servicekit.telemetry.page import table

DOCUMENT = Path(__file__).parents[4] / "docs" / "ops" / "metrics.md"
ASKED_FOR = {
    "search_duration_seconds": "histogram", "fetch_duration_seconds": "histogram",
    "llm_call_duration_seconds": "histogram", "cache_hits_total": "counter", "cache_misses_total": "counter",
    "api_errors_total": "counter", "filter_decisions_total": "counter", "llm_calls_total": "counter",
    "searches_total": "counter", "circuit_breaker_degraded": "gauge", "active_searches": "gauge",
}  # fmt: skip


def _count(meter: Meter, labels: dict[str, str]) -> None:
    assert isinstance(meter, Counter | Gauge)
    meter.add(1, **labels)


class TestMeasures:
    def test_have_every_metric_that_is_asked_for(self) -> None:
        assert ASKED_FOR.items() <= {each.name: each.kind for each in MEASURES}.items()

    def test_are_told_as_the_document_has_them(self) -> None:
        assert table() in DOCUMENT.read_text(), "paste the output of python -m servicekit.telemetry.page"

    def test_have_a_bound_on_all_their_series_together(self) -> None:
        assert sum(each.most_series for each in MEASURES) <= MOST_SERIES

    def test_stay_within_it_whatever_is_counted(self) -> None:
        with switched_on(MEASURES) as counted:
            for number in range(300):
                for each in MEASURES:
                    labels = {label.name: f"hostile-{number}" for label in each.labels}
                    each.observe(1, **labels) if isinstance(each, Histogram) else _count(each, labels)
            ours = [sample for sample in counted.values() if not sample[0].startswith("process_")]
        assert len({(name, *labels.items()) for name, labels, _ in ours}) <= MOST_SERIES
        told = {value for _, labels, _ in ours for key, value in labels.items() if key != "le"}
        assert "other" in told
        assert [value for value in told if value.startswith("hostile")] == []


class TestMeter:
    def test_records_nothing_while_metrics_are_off(self) -> None:
        assert exposition() is None
        SEARCHES.add(status="completed")
        with switched_on(MEASURES) as counted:
            SEARCHES.add(status="completed")
            SEARCHES.add(2, status="degraded")
            ACTIVE_SEARCHES.add(1)
            found = {(name, labels.get("status")): value for name, labels, value in counted.values()}
        assert found["searches_total", "completed"] == 1
        assert found["searches_total", "degraded"] == 2
        assert found["active_searches", None] == 1

    def test_follows_what_began_before_metrics_were_on(self) -> None:
        open_now = 3
        SSE_CLIENTS.follow(lambda: open_now)
        with switched_on(MEASURES) as counted:
            open_now = 5
            assert [value for name, _, value in counted.values() if name == "farol_sse_clients"] == [5]

    @pytest.mark.parametrize(("sampled", "told"), [(TraceFlags.SAMPLED, True), (TraceFlags.DEFAULT, False)])
    def test_names_the_trace_of_what_it_measured_when_that_is_kept(self, sampled: int, told: bool) -> None:
        context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(sampled))
        with switched_on(MEASURES) as counted, trace.use_span(NonRecordingSpan(context)):
            FETCH_SECONDS.observe(0.2, source="pncp", outcome="ok")
            body, media_type = counted.text("application/openmetrics-text; version=1.0.0")
        assert media_type == OPEN_METRICS
        assert (f'# {{trace_id="{0xABC:032x}"}} 0.2' in body.decode()) is told
