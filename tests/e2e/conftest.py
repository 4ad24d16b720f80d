"""The whole of Farol as a user starts it: real processes, real HTTP, recorded sources with their faults."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from contracts.fold import SearchState
from contracts.subjects import ANSWERS_BUCKET, COORDINATOR_REQUESTED, Stream, fact_topic
from servicekit.bus import Bus, Stored

START_WITHIN = 120.0
"""Seven processes on one loaded core."""
CLOSE_WITHIN = 120.0


@dataclass
class RunningFarol:
    """One `farol up` of its own data directory."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    http: httpx.Client = field(init=False)
    endpoint: dict[str, Any] = field(init=False)

    def until_up(self) -> None:
        note = self.data_dir / "endpoint.json"
        end = time.monotonic() + START_WITHIN
        while not note.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"farol up did not start:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        self.endpoint = json.loads(note.read_text())
        key = (self.data_dir / "api_key").read_text().strip()
        self.http = httpx.Client(base_url=self.endpoint["url"], headers={"Authorization": f"Bearer {key}"}, timeout=10)

    def log(self) -> str:
        return "".join(
            path.read_text() for path in (self.data_dir / "out.txt", self.data_dir / "farol.log") if path.exists()
        )

    def lines(self) -> list[dict[str, Any]]:
        path = self.data_dir / "farol.log"
        return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]

    def pid(self, name: str) -> int:
        return int(json.loads((self.data_dir / "pids.json").read_text())[name])

    def signal(self, name: str, number: signal.Signals) -> datetime:
        os.kill(self.pid(name), number)
        return datetime.now(UTC)

    def set_faults(self, *faults: Mapping[str, Any]) -> None:
        url = f"{self.endpoint['simulator_url'].removesuffix('/_sim')}/_sim/faults"
        httpx.put(url, json={"faults": list(faults)}, timeout=10).raise_for_status()

    def hits(self) -> list[dict[str, Any]]:
        url = f"{self.endpoint['simulator_url'].removesuffix('/_sim')}/_sim/hits"
        reply = httpx.get(url, timeout=10).raise_for_status().json()
        return list(reply["hits"] if isinstance(reply, dict) else reply)

    def clear_hits(self) -> None:
        url = f"{self.endpoint['simulator_url'].removesuffix('/_sim')}/_sim/hits"
        httpx.delete(url, timeout=10).raise_for_status()

    def ask(self, **body: Any) -> str:
        reply = self.http.post("/v1/searches", json={"ufs": ["AC", "SE"], "sector": "alimentacao", **body})
        assert reply.status_code in {200, 202}, reply.text  # 200: the memory had the answer
        return str(reply.json()["search_id"])

    def state(self, search_id: str) -> dict[str, Any]:
        reply = self.http.get(f"/v1/searches/{search_id}")
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def until_over(self, search_id: str, *, within: float = CLOSE_WITHIN) -> dict[str, Any]:
        """The state once it is terminal; the gateway may be away meanwhile."""
        end = time.monotonic() + within
        state: dict[str, Any] = {}
        while time.monotonic() < end:
            try:
                state = self.state(search_id)
            except (httpx.HTTPError, AssertionError):
                state = {}
            if state.get("status") not in {None, "accepted", "running"}:
                return state
            time.sleep(0.1)
        pytest.fail(f"the search is not over after {within:.0f} s: {state}\n{self.log()[-6000:]}")

    def until(self, met: Callable[[], bool], *, what: Callable[[], object], within: float = CLOSE_WITHIN) -> None:
        """Until something is so; `what` says what is missing when it never is."""
        end = time.monotonic() + within
        while not met():
            if time.monotonic() > end:
                pytest.fail(f"not within {within:.0f} s: {what()}\n{self.log()[-3000:]}")
            time.sleep(0.2)

    def until_closed(self, search_id: str, *, within: float = CLOSE_WITHIN) -> None:
        """Until its log ends: nothing more is published of this search."""
        end = time.monotonic() + within
        while "closed" not in names_of(self.facts(search_id)):
            if time.monotonic() > end:
                pytest.fail(f"the search is not closed after {within:.0f} s\n{self.log()[-6000:]}")
            time.sleep(0.2)

    def until_archived(self, search_id: str, *, within: float = CLOSE_WITHIN) -> None:
        """Until its log is filed away and its request is let go."""

        async def archived() -> bool:
            bus = Bus(url=self.endpoint["nats_url"], service="e2e")
            await bus.connect()
            try:
                kept = await bus.find_object(ANSWERS_BUCKET, f"archives/{search_id}")
                held = await bus.connection.js.consumer_info("SEARCH", COORDINATOR_REQUESTED.durable)
                return kept is not None and held.num_ack_pending == held.num_pending == 0
            finally:
                await bus.stop()

        end = time.monotonic() + within
        while not asyncio.run(archived()):
            if time.monotonic() > end:
                pytest.fail(f"the search is not filed away after {within:.0f} s\n{self.log()[-6000:]}")
            time.sleep(0.2)

    def last_sequence(self, stream: Stream) -> int:
        """How many messages a stream has ever been given."""

        async def read() -> int:
            client = await nats.connect(self.endpoint["nats_url"])
            try:
                return int((await client.jetstream().stream_info(stream.name)).state.last_seq)
            finally:
                await client.close()

        return asyncio.run(read())

    def results(self, search_id: str) -> list[dict[str, Any]]:
        """Every row, page by page."""
        rows: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": 100}
        while True:
            reply = self.http.get(f"/v1/searches/{search_id}/results", params=params)
            assert reply.status_code == 200, reply.text
            page = reply.json()
            rows += page["results"]
            if not page.get("next_cursor"):
                return rows
            params["cursor"] = page["next_cursor"]

    def facts(self, search_id: str) -> list[Stored]:
        """The log of one search, straight from the stream."""

        async def read() -> list[Stored]:
            bus = Bus(url=self.endpoint["nats_url"], service="e2e")
            await bus.connect()
            try:
                return await bus.history(search_id)
            finally:
                await bus.stop()

        return asyncio.run(read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise


def names_of(facts: list[Stored]) -> list[str]:
    return [topic.name for fact in facts if (topic := fact_topic(fact.subject))]


def folded(search_id: str, facts: list[Stored]) -> SearchState:
    state = SearchState(search_id)
    for fact in facts:
        if topic := fact_topic(fact.subject):
            state.apply(fact.sequence, topic.decode(fact.body))
    return state


@pytest.fixture(scope="module")
def start_farol(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningFarol]]:
    """Start one; all are stopped at the end of the module."""
    started: list[RunningFarol] = []

    def start(*arguments: str, **environment: str) -> RunningFarol:
        data_dir = tmp_path_factory.mktemp("farol")
        output = (data_dir / "out.txt").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "farol", "up", "--data-dir", str(data_dir), "--port", "0", *arguments],
            env={**os.environ, "FAROL_SOURCES": "recorded", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        output.close()
        running = RunningFarol(process, data_dir)
        started.append(running)
        running.until_up()
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()
        if hasattr(running, "http"):
            running.http.close()
