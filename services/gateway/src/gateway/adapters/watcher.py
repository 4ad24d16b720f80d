"""Looks at the board every 10 s and tells people what is wrong: once for all gateways, and not again for a while."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from contracts.ops import Alert
from contracts.subjects import ALERT, ANSWERS_BUCKET, FILES_BUCKET, STREAMS, Outgoing
from gateway.domain.board import Board, Finding, Rule, StreamState
from gateway.domain.score import score_of
from servicekit.clock import Clock
from servicekit.envelope import Ack
from servicekit.errors import Transient
from servicekit.logs import log
from servicekit.reading import StreamSeen
from servicekit.telemetry.measures import ALERTS, STREAM_FILL, STREAM_MESSAGES

LOOK: Final = timedelta(seconds=10)
COOLDOWN: Final = timedelta(hours=1)
COOLDOWNS: Final[Mapping[Rule, timedelta]] = {Rule.ERRORS: timedelta(minutes=30)}
"""T01.5, T03.3; the others `COOLDOWN`."""
_STREAMS_EVERY: Final = 3
"""Looks at the streams: every third time."""
_WATCHED: Final = (*(stream.name for stream in STREAMS), f"OBJ_{ANSWERS_BUCKET}", f"OBJ_{FILES_BUCKET}")
_REMEMBERED: Final = 2000


class WatchedBus(Protocol):
    """The bus as a watcher needs it."""

    @property
    def connected(self) -> bool:
        """Whether it is there."""

    async def publish(self, outgoing: Outgoing) -> Ack:
        """Store an alert; raises Transient."""

    async def stream(self, name: str) -> StreamSeen | None:
        """How full a stream is; raises Transient."""


class Teller(Protocol):
    """Tells people."""

    async def post(self, text: str) -> None:
        """Now, or as soon as it can be."""

    async def flush(self) -> None:
        """What could not be told before."""


class Snapshots(Protocol):
    """Keeps how the system did."""

    async def keep(self, content: dict[str, Any], *, now: datetime) -> None:
        """One moment; raises DependencyAway."""


class Watcher:
    """One per gateway; which of them tells people is decided by who first stores the alert."""

    def __init__(self, board: Board, *, bus: WatchedBus, teller: Teller, snapshots: Snapshots, clock: Clock) -> None:
        self._board = board
        self._bus = bus
        self._teller = teller
        self._snapshots = snapshots
        self._clock = clock
        self._looks = 0
        self._told: dict[tuple[str, str], datetime] = {}
        self._firing: dict[tuple[str, str], Finding] = {}

    async def heard(self, alert: Alert) -> None:
        """Another gateway, or this one, has told it: nobody tells it again for a while."""
        if alert.firing:
            self._remember((alert.rule, alert.subject), alert.at)

    async def look(self) -> None:
        """See what is wrong and tell what has to be told."""
        now = self._clock()
        self._board.hear_bus(connected=self._bus.connected, now=now)
        if self._looks % _STREAMS_EVERY == 0 and self._bus.connected:
            await self._look_at_streams(now)
        self._looks += 1
        findings = {(each.rule.value, each.subject): each for each in self._board.look(now)}
        over = [each for key, each in self._firing.items() if key not in findings]
        self._firing = findings
        for rule in Rule:
            ALERTS.set(any(each.rule is rule for each in findings.values()), rule=rule)
        for finding in findings.values():
            await self._tell(finding, now=now)
        for finding in over:
            await self._tell_over(finding, now=now)
        await self._teller.flush()

    async def snapshot(self) -> None:
        """Keep how the system does now."""
        now = self._clock()
        score = score_of(self._board, now, connected=self._bus.connected)
        ended = self._board.ended(now)
        await self._snapshots.keep(
            {
                **score.model_dump(mode="json"),
                "queues": {queue.consumer: queue.pending for queue in self._board.queues(now)},
                "streams": {name: asdict(stream) for name, stream in self._board.streams.items()},
                "workers": len(self._board.workers(now)),
                "searches_15min": {status: ended.count(status) for status in sorted(set(ended))},
                "errors_5min": self._board.errors(now),
                "firing": sorted({each.rule.value for each in self._firing.values()}),
            },
            now=now,
        )

    async def _look_at_streams(self, now: datetime) -> None:
        seen: dict[str, StreamState] = {}
        for name in _WATCHED:
            try:
                stream = await self._bus.stream(name)
            except Transient:
                return
            if stream is not None:
                seen[name] = StreamState(stream.messages, stream.last_sequence, stream.fill)
                STREAM_FILL.set(stream.fill, stream=name)
                STREAM_MESSAGES.set(stream.messages, stream=name)
        self._board.hear_streams(seen, now=now)

    async def _tell(self, finding: Finding, *, now: datetime) -> None:
        key, cooldown = (finding.rule.value, finding.subject), COOLDOWNS.get(finding.rule, COOLDOWN)
        last = self._told.get(key)
        if last is not None and now - last < cooldown:
            return
        self._remember(key, now)
        if await self._first_to_store(finding, firing=True, now=now, period=cooldown):
            log.warning("alert.firing", rule=finding.rule, about=finding.subject)
            await self._teller.post(f":rotating_light: {finding.text}")

    async def _tell_over(self, finding: Finding, *, now: datetime) -> None:
        # What is over before its cooldown may begin again and is then told only after it; that it ended is told.
        if (finding.rule.value, finding.subject) not in self._told:
            return
        if await self._first_to_store(finding, firing=False, now=now, period=timedelta(minutes=1)):
            log.info("alert.over", rule=finding.rule, about=finding.subject)
            await self._teller.post(f":white_check_mark: Resolvido: {finding.text}")

    async def _first_to_store(self, finding: Finding, *, firing: bool, now: datetime, period: timedelta) -> bool:
        """Whether it is this gateway that tells; with the bus away each does, which is better than none."""
        alert = Alert(rule=finding.rule, subject=finding.subject, firing=firing, text=finding.text, at=now)
        turn = int(now.timestamp() // period.total_seconds())
        try:
            ack = await self._bus.publish(
                ALERT.message(alert, dedup=f"{finding.subject}:{firing}:{turn}", rule=finding.rule)
            )
        except Transient:
            return True
        return not ack.duplicate

    def _remember(self, key: tuple[str, str], at: datetime) -> None:
        self._told.pop(key, None)
        self._told[key] = at
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
