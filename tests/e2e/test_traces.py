"""One trace per search, whole, through every service, at a collector of our own in a process of its own."""

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
TOLD = {"search.id", "search.sector", "search.ufs", "items_in", "items_out"}
SERVICES = {f"farol-{name}" for name in ("gateway", "coordinator", "cache", "fetcher", "classifier", "reporter")}
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
        farol = start_farol(*arguments, OTEL_EXPORTER_OTLP_ENDPOINT=collector, OTEL_SAMPLING_RATE="1")
        asked: list[str] = []
        for number in range(searches):
            pair = [UFS[number % len(UFS)], UFS[(number * 7 + 1 + number // len(UFS)) % len(UFS)]]
            asked.append(farol.ask(ufs=sorted(set(pair)), sector="alimentacao"))
            farol.until_over(asked[-1])
        for search_id in asked:
            farol.until_closed(search_id)
        assert farol.stop() == 0
        spans = httpx.get(f"{collector}/spans", timeout=60).json()
        _whole(spans, asked)


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
