"""One trace per search, whole, through every service, at a collector of our own in a process of its own."""

import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from farol.starting import free_ports

STAGES = {"validate", "prepare", "fetch", "filter", "enrich", "persist", "generate"}
TOKEN = "a-token-of-the-test"
TOLD = {"search.id", "search.sector", "search.ufs", "items_in", "items_out"}
SERVICES = {f"farol-{name}" for name in ("gateway", "coordinator", "cache", "fetcher", "classifier", "reporter")}
HEARD_WITHIN = 60.0
UFS = ("AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE", "PI", "PR")


@pytest.fixture(scope="module")
def collector() -> Iterator[str]:
    port = free_ports(1)[0]
    process = subprocess.Popen([sys.executable, "-m", "simulators.otlp", "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{url}/spans")
            break
        except httpx.TransportError:
            assert time.monotonic() < end
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


@pytest.mark.e2e
@pytest.mark.timeout(900)
class TestTraces:
    @pytest.mark.parametrize(
        ("searches", "arguments"),
        [pytest.param(4, (), id="4"), pytest.param(200, ("--processes",), id="200", marks=pytest.mark.soak)],
    )
    def test_each_search_is_one_whole_trace(
        self, start_farol: Callable[..., Any], collector: str, searches: int, arguments: tuple[str, ...]
    ) -> None:
        httpx.delete(f"{collector}/spans")
        farol = start_farol(
            *arguments, OTEL_EXPORTER_OTLP_ENDPOINT=collector, OTEL_SAMPLING_RATE="1", METRICS_TOKEN=TOKEN
        )
        asked: list[str] = []
        for number in range(searches):
            pair = [UFS[number % len(UFS)], UFS[(number * 7 + 1 + number // len(UFS)) % len(UFS)]]
            asked.append(farol.ask(ufs=sorted(set(pair)), sector="alimentacao"))
            farol.until_over(asked[-1])
        for search_id in asked:
            farol.until_closed(search_id)
        counted = _metrics(farol)
        assert _everyone_is_at_work(farol)
        assert farol.stop() == 0
        spans = httpx.get(f"{collector}/spans", timeout=60).json()
        _whole(spans, asked)
        if not arguments:
            _counted(counted, searches=searches, traces={span["trace_id"] for span in spans})


def _metrics(farol: Any) -> str:
    assert farol.http.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 401
    asked = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/openmetrics-text"}
    reply = farol.http.get("/metrics", headers=asked)
    assert reply.status_code == 200
    return str(reply.text)


def _everyone_is_at_work(farol: Any) -> bool:
    """Within a few beats of the services: those that started before the gateway are heard at their next."""
    everyone = {name.removeprefix("farol-") for name in SERVICES}
    end = time.monotonic() + HEARD_WITHIN
    while time.monotonic() < end:
        workers = farol.http.get("/v1/health/workers").json()["workers"]
        alive = {each["service"] for each in workers if each["status"] == "alive"}
        if alive == everyone and farol.http.get("/v1/health/score").json()["status"] == "healthy":
            return True
        time.sleep(0.5)
    return False


def _counted(text: str, *, searches: int, traces: set[str]) -> None:
    """Every metric that a search on recorded data moves has moved, and exemplars name its traces."""
    values = dict(re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([0-9.e+-]+)", text, flags=re.MULTILINE))
    assert float(values['searches_total{status="completed"}']) == searches
    moved = {name.partition("{")[0] for name, value in values.items() if float(value) > 0}
    assert moved >= {
        "search_duration_seconds_count", "fetch_duration_seconds_count", "filter_decisions_total", "cache_misses_total",
        "farol_first_result_seconds_count", "farol_search_coverage_pct_count", "farol_bus_messages_total",
        "farol_bus_published_total", "farol_bus_handle_seconds_count", "farol_bus_connected",
        "farol_pages_fetched_total",
        "farol_records_fetched_total", "farol_source_rate", "farol_http_requests_total", "farol_job_runs_total",
        "farol_job_last_success_timestamp_seconds", "farol_stream_messages", "process_resident_memory_bytes",
    }  # fmt: skip
    there = {name.partition("{")[0] for name in values}
    assert there >= {
        "active_searches", "circuit_breaker_degraded", "farol_circuits_open", "farol_queue_pending",
        "farol_queue_ack_pending", "farol_queue_redelivered", "farol_queue_missing", "farol_sse_clients",
        "farol_stream_fill_ratio", "farol_watcher_firing", "farol_source_waiting", "farol_bus_running",
    }  # fmt: skip
    exemplars = set(re.findall(r'# \{trace_id="([0-9a-f]{32})"\}', text))
    assert exemplars
    assert exemplars <= traces


def _whole(spans: list[dict[str, Any]], asked: list[str]) -> None:
    by_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for span in spans:
        by_trace[span["trace_id"]].append(span)
    traces_of: dict[str, set[str]] = defaultdict(set)
    for span in spans:
        if search_id := span["attributes"].get("search.id"):
            traces_of[search_id].add(span["trace_id"])
    assert set(traces_of) == set(asked)
    assert {len(traces) for traces in traces_of.values()} == {1}, "a search has more than one trace"
    assert len(by_trace) == len(asked), "a trace belongs to no search"
    for search_id in asked:
        (trace,) = traces_of[search_id]
        mine = by_trace[trace]
        known = {span["span_id"] for span in mine}
        orphans = [span["name"] for span in mine if span["parent_id"] and span["parent_id"] not in known]
        assert orphans == []
        assert [span["name"] for span in mine if span["parent_id"] is None] == ["POST /v1/searches"]
        names = Counter(span["name"] for span in mine)
        assert names.keys() >= STAGES, f"missing: {STAGES - names.keys()}"
        for span in mine:
            assert span["attributes"]["duration_ms"] >= 0
            if span["name"] in STAGES - {"generate"}:
                assert span["attributes"].keys() >= TOLD
                assert span["attributes"]["search.sector"] == "alimentacao"
    fetched = [trace for trace in by_trace.values() if any(span["name"] == "GET" for span in trace)]
    assert fetched, "no trace has a request to a source"
    assert {span["service"] for trace in fetched for span in trace} == SERVICES
