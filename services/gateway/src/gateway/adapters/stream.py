"""The bytes of one listener's event stream: history, then live, to the exact boundary it had seen."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.adapters.watch import Watch
from gateway.domain.events import Frame, Position, own_frame

PING: Final = b": ping\n\n"
_FRAMES_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How long a stream lives and how it shows that it does."""

    ping: timedelta
    life: timedelta
    retry: timedelta = timedelta(seconds=1)
    """What a browser waits before it comes back."""


async def stream(
    watch: Watch, *, after: Position, rules: StreamRules, stopping: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Everything after a position, until `closed`, the end of its life or of the process."""
    watch.listeners += 1
    try:
        yield b"retry: %d\n\n" % int(rules.retry.total_seconds() * 1000)
        ends = asyncio.get_running_loop().time() + rules.life.total_seconds()
        index = watch.folded.index_after(after)
        noticed = len(watch.notices)
        if watch.folded.dropped and index <= watch.folded.dropped:
            async for chunk in _old(watch, after):
                yield chunk
        while True:
            bell = watch.bell()
            if index < watch.folded.dropped:
                yield own_frame("gap", {"message": "A conexão ficou para trás; continuando de onde parou."})
                return
            start = index - watch.folded.dropped
            if fresh := watch.folded.frames[start : start + _FRAMES_AT_ONCE]:
                index += len(fresh)
                yield _joined(fresh)
            elif noticed < len(watch.notices):
                noticed += 1
                yield watch.notices[noticed - 1]
            elif watch.over:
                return
            elif last := _last_word(watch, ends=ends, stopping=stopping):
                yield last
                return
            elif not await _rung(bell, ends=ends, ping=rules.ping):
                yield PING
    finally:
        watch.listeners -= 1


async def _old(watch: Watch, after: Position) -> AsyncIterator[bytes]:
    """The frames that were let go and that this listener has not seen."""
    first = watch.folded.frames[0].position[0]
    old = [frame for frame in await watch.replay(before=first) if frame.position > after]
    for start in range(0, len(old), _FRAMES_AT_ONCE):
        yield _joined(old[start : start + _FRAMES_AT_ONCE])


def _joined(frames: list[Frame]) -> bytes:
    return b"".join(frame.wire for frame in frames)


def _last_word(watch: Watch, *, ends: float, stopping: Callable[[], bool]) -> bytes | None:
    if stopping() or watch.gone or asyncio.get_running_loop().time() >= ends:
        return own_frame("reconnect", {"message": "Reconectando para continuar."})
    if watch.abandoned:
        view = watch.view()
        return own_frame(
            "closed",
            {"stage": "closed", "progress": 100, "message": "Busca encerrada", "detail": {"status": view.status}},
        )
    return None


async def _rung(bell: asyncio.Event, *, ends: float, ping: timedelta) -> bool:
    left = ends - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(max(0.0, min(left, ping.total_seconds()))):
            await bell.wait()
    except TimeoutError:
        return left <= ping.total_seconds()
    return True
