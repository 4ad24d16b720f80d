"""The watcher's rules over simulated time: what is broken is seen within two minutes, what is well raises nothing."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.ops import CircuitSeen, CircuitState, Heartbeat, JobSeen, QueueSeen, SourceDrifted
from contracts.state import Status
from contracts.subjects import CONSUMERS, SERVICES
from contracts.values import Source
from gateway.domain.board import Board, Finding, Rule, StreamState
from gateway.domain.score import score_of

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
BEAT = timedelta(seconds=15)
LOOK = timedelta(seconds=10)
VISIBLE_WITHIN = timedelta(minutes=2)


@dataclass
class Process:
    """One service's process, beating until it is killed or leaves."""

    service: str
    worker: str
    started_at: datetime
    next_beat: datetime
    alive: bool = True
    jobs: dict[str, tuple[float, datetime]] = field(default_factory=dict)
    stopped_jobs: set[str] = field(default_factory=set)


class World:
    """The services, their queues and sources, on a clock of its own."""

    def __init__(self, seed: int = 7) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a repeatable world
        self.now = MONDAY
        self.board = Board(self.now)
        self.processes: list[Process] = []
        self.pending: dict[str, int] = {each.durable: 0 for each in CONSUMERS}
        self.missing: set[str] = set()
        self.circuits: dict[Source, CircuitState] = dict.fromkeys(Source, CircuitState.CLOSED)
        self.errors: dict[str, int] = {}
        self.letters = 0
        self.fill = 0.1
        self.next_look = self.now
        for service in SERVICES:
            self.start(service)

    def start(self, service: str) -> Process:
        worker = f"{service}-{self.chance.getrandbits(32):08x}"
        made = Process(service, worker, self.now, self.now)
        if service == "cache":
            made.jobs = {"upkeep": (3600.0, self.now), "ingest": (30.0, self.now), "ledger_age": (60.0, self.now)}
        self.processes.append(made)
        return made

    def of(self, service: str) -> Process:
        return next(each for each in self.processes if each.service == service and each.alive)

    def leave(self, process: Process) -> None:
        self.processes.remove(process)
        self.board.hear(self.beat(process).model_copy(update={"leaving": True}))

    def beat(self, process: Process) -> Heartbeat:
        for name, (every, last) in process.jobs.items():
            if name not in process.stopped_jobs and (self.now - last).total_seconds() >= every * 0.9:
                process.jobs[name] = (every, self.now)
        own = [each.durable for each in CONSUMERS if each.service == process.service]
        return Heartbeat(
            service=process.service, worker=process.worker, started_at=process.started_at, at=self.now,
            queues=tuple(
                QueueSeen(consumer=name, pending=self.pending[name], missing=name in self.missing) for name in own
            ),
            jobs=tuple(JobSeen(name=n, every_s=e, last_success=at) for n, (e, at) in process.jobs.items()),
            circuits=tuple(CircuitSeen(source=s, state=state) for s, state in self.circuits.items())
            if process.service == "fetcher" else (),
            errors=dict(self.errors) if process.service == "fetcher" else {},
        )  # fmt: skip

    def run(self, time: timedelta, each_look: Callable[[], Any] = lambda: None) -> Iterator[list[Finding]]:
        end = self.now + time
        while self.now < end:
            self.now += timedelta(seconds=5)
            for process in self.processes:
                if process.alive and self.now >= process.next_beat:
                    self.board.hear(self.beat(process))
                    process.next_beat = self.now + BEAT * self.chance.uniform(0.9, 1.1)
            if self.now >= self.next_look:
                self.next_look = self.now + LOOK
                each_look()
                streams = {
                    "SEARCH": StreamState(10, 10, self.fill),
                    "DLQ": StreamState(self.letters, self.letters, 0.0),
                }
                self.board.hear_streams(streams, now=self.now)
                yield self.board.look(self.now)

    def until(self, rule: Rule) -> timedelta:
        """How long it takes until this rule is broken."""
        began = self.now
        for findings in self.run(timedelta(minutes=45)):
            if rule in {each.rule for each in findings}:
                return self.now - began
        pytest.fail(f"{rule} is never seen")


@pytest.fixture
def world() -> World:
    made = World()
    assert all(findings == [] for findings in made.run(timedelta(minutes=5)))
    return made


class TestWatching:
    @pytest.mark.parametrize("service", SERVICES)
    def test_sees_a_killed_worker_within_two_minutes(self, world: World, service: str) -> None:
        world.of(service).alive = False
        assert world.until(Rule.WORKER_SILENT) <= VISIBLE_WITHIN
        assert score_of(world.board, world.now, connected=True).components["workers"] == 83

    def test_sees_a_source_that_has_drifted_and_lets_go_of_it_after_an_hour(self, world: World) -> None:
        drift = SourceDrifted(
            source=Source.PCP, kind="shape", expected="readable records", specimen="BR page 1: 100% unreadable",
            at=world.now,
        )  # fmt: skip
        world.board.hear_drift(drift)
        world.board.hear_drift(drift.model_copy(update={"specimen": "older", "at": drift.at - timedelta(hours=2)}))
        (found,) = world.board.look(world.now)
        assert (found.rule, found.subject) == (Rule.SOURCE_DRIFTED, "pcp.shape")
        assert "BR page 1: 100% unreadable" in found.text
        later = world.board.look(world.now + timedelta(minutes=61))
        assert Rule.SOURCE_DRIFTED not in {each.rule for each in later}

    def test_sees_one_killed_worker_among_many(self, world: World) -> None:
        world.start("fetcher")
        list(world.run(timedelta(minutes=2)))
        world.of("fetcher").alive = False
        assert world.until(Rule.WORKER_SILENT) <= VISIBLE_WITHIN

    def test_sees_a_stopped_source_within_two_minutes(self, world: World) -> None:
        world.circuits[Source.PNCP] = CircuitState.OPEN
        assert world.until(Rule.SOURCE_OPEN) <= VISIBLE_WITHIN

    def test_sees_a_filled_queue_within_two_minutes(self, world: World) -> None:
        world.pending["classifier-judge"] = 5_000
        assert world.until(Rule.QUEUE_FLOODED) <= VISIBLE_WITHIN

    def test_sees_a_queue_that_stays_long_only_after_half_an_hour(self, world: World) -> None:
        world.pending["reporter-summarize"] = 51
        assert timedelta(minutes=30) <= world.until(Rule.QUEUE_BACKED_UP) <= timedelta(minutes=31)

    def test_sees_a_deleted_consumer_within_two_minutes(self, world: World) -> None:
        world.missing.add("cache-pages-pncp")
        assert world.until(Rule.QUEUE_MISSING) <= VISIBLE_WITHIN
        assert score_of(world.board, world.now, connected=True).status != "healthy"

    def test_sees_a_job_whose_clock_stopped_within_two_minutes_of_its_being_late(self, world: World) -> None:
        world.of("cache").stopped_jobs.add("ingest")
        assert world.until(Rule.JOB_LATE) <= timedelta(seconds=60) + VISIBLE_WITHIN

    def test_sees_a_stream_that_fills_dead_letters_and_errors(self, world: World) -> None:
        world.fill = 0.75
        assert world.until(Rule.STREAM_FULL) <= VISIBLE_WITHIN
        world.letters += 1
        assert world.until(Rule.DEAD_LETTERS) <= VISIBLE_WITHIN
        world.errors["handler.failed"] = 11
        assert world.until(Rule.ERRORS) <= VISIBLE_WITHIN

    def test_sees_searches_that_end_without_an_answer(self, world: World) -> None:
        for _ in range(3):
            world.board.hear_end(Status.EMPTY_FAILURE, now=world.now)
        assert world.until(Rule.SEARCHES_FAILING) <= VISIBLE_WITHIN

    def test_is_quiet_again_when_it_is_mended(self, world: World) -> None:
        world.missing.add("cache-gather")
        world.until(Rule.QUEUE_MISSING)
        world.missing.clear()
        assert list(world.run(timedelta(minutes=2)))[-1] == []

    def test_knows_a_new_gateway_does_not_know_yet_who_lives(self) -> None:
        board = Board(MONDAY)
        assert board.look(MONDAY + timedelta(seconds=90)) == []
        silent = {each.subject for each in board.look(MONDAY + timedelta(seconds=110))}
        assert silent == set(SERVICES)


class TestCalmWeek:
    @pytest.mark.parametrize("days", [1, pytest.param(7, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
    def test_raises_nothing_though_there_are_peaks_restarts_and_single_errors(self, days: int) -> None:
        world = World(seed=days)

        def life() -> None:
            hour = world.now.hour
            for name in world.pending:
                # Working hours have peaks of some hundreds that last seconds; a long queue drains in minutes.
                peak = 300 if 8 <= hour <= 18 and world.chance.random() < 0.2 else 20
                world.pending[name] = world.chance.randint(0, peak)
            if world.chance.random() < 1 / 2000:
                world.errors["handler.failed"] = world.errors.get("handler.failed", 0) + 1
            if world.chance.random() < 1 / 1000:
                old = world.chance.choice(world.processes)
                world.start(old.service)
                world.leave(old)
            if world.chance.random() < 1 / 3000:
                killed = world.chance.choice(world.processes)
                killed.alive = False
                world.processes.remove(killed)
                world.start(killed.service)
            world.board.hear_end(
                Status.EMPTY_FAILURE if world.chance.random() < 0.02 else Status.COMPLETED, now=world.now
            )

        looks = 0
        for findings in world.run(timedelta(days=days), life):
            looks += 1
            assert findings == []
            if looks % 360 == 0:
                assert score_of(world.board, world.now, connected=True).overall_score >= 80
        assert looks >= days * 8_000
