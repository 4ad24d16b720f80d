"""What a subscription pulls through: one message for each free worker, none while it is paused."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import nats.errors

from servicekit.connection import Connection
from servicekit.logs import log

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

FETCH_TIME: Final = 5.0
CUT_OFF: Final = 2.0
"""Seconds of nothing but errors, after which a subscription counts as broken."""
REST: Final = 0.5
"""After an error, so that a consumer that was deleted is not asked in a hot loop."""


class Gate:
    """Stands where FastStream's pull loop expects its subscription.

    FastStream fetches one message more than it has workers, asks a deleted consumer without a rest, waits out a fetch
    that a restarted server has forgotten, and cannot pause: the gate does each of these right.
    """

    def __init__(
        self, source: "JetStreamContext.PullSubscription", *, connection: Connection, workers: int, name: str
    ) -> None:
        self._source = source
        self._connection = connection
        self._name = name
        self._free = asyncio.Semaphore(workers)
        self._open = asyncio.Event()
        self._open.set()
        self._fetching: asyncio.Task[list[Msg]] | None = None
        self._closed = False
        self._complained = False
        self._failing_since: float | None = None

    @property
    def cut_off(self) -> bool:
        """Whether the consumer has answered nothing but errors for some time, though the server is there."""
        since = self._failing_since
        return since is not None and asyncio.get_running_loop().time() - since >= CUT_OFF and self._connection.connected

    def pause(self) -> None:
        """Take no more messages for now."""
        self._open.clear()

    def resume(self) -> None:
        """Take messages again."""
        if not self._closed:
            self._open.set()

    def release(self) -> None:
        """A worker is free again."""
        self._free.release()

    async def fetch(self, batch: int = 1, timeout: float | None = None) -> list["Msg"]:  # noqa: ARG002, ASYNC109 - nats-py's signature
        """One message for one free worker, or none for now; the worker is given back by `release`."""
        await self._free.acquire()
        messages: list[Msg] = []
        try:
            await self._open.wait()
            messages = await self._pull()
        finally:
            if not messages:
                self._free.release()
        return messages

    async def close(self) -> None:
        """Take nothing more; what the server has sent by now still comes out of `fetch`, to be handed back."""
        self._closed = True
        self._open.clear()
        fetching, client = self._fetching, self._connection.client
        if fetching is None:
            return
        with suppress(nats.errors.Error, TimeoutError, OSError):
            if client.is_connected:
                # As nats-py's own drain does: no interest any more, and a round trip until all that was sent is here.
                await client._send_unsubscribe(self._source._sub._id)  # noqa: SLF001 - its drain hangs on a pull subscription
                await client.flush(timeout=2)
        await asyncio.sleep(0)
        await asyncio.wait({fetching}, timeout=0.01)
        fetching.cancel()

    async def unsubscribe(self) -> None:
        """Called by FastStream when the subscriber stops."""
        with suppress(nats.errors.Error):
            await self._source.unsubscribe()

    async def _pull(self) -> list["Msg"]:
        reconnected = asyncio.ensure_future(self._connection.next_reconnect().wait())
        self._fetching = asyncio.ensure_future(self._source.fetch(1, timeout=FETCH_TIME))
        fetching = self._fetching
        try:
            await asyncio.wait({fetching, reconnected}, return_when=asyncio.FIRST_COMPLETED)
            if not fetching.done():
                fetching.cancel()
                await asyncio.wait({fetching})
            messages = fetching.result()
        except (TimeoutError, nats.errors.TimeoutError):
            self._failing_since = None
            return []
        except asyncio.CancelledError:
            if not fetching.cancelled():
                raise
            return await self._nothing_more()
        except (nats.errors.Error, OSError) as exc:
            await self._complain(exc)
            return []
        finally:
            reconnected.cancel()
            fetching.cancel()
            self._fetching = None
        self._complained, self._failing_since = False, None
        return messages

    async def _nothing_more(self) -> list["Msg"]:
        """The fetch was cut: after a reconnection fetch anew; after `close` wait to be stopped."""
        if self._closed:
            await asyncio.Event().wait()
        return []

    async def _complain(self, error: Exception) -> None:
        if self._connection.connected and not self._complained and not self._closed:
            self._complained = True
            log.warning("bus.fetch_failed", consumer=self._name, error=repr(error))
        if not self._connection.connected:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()
        await asyncio.sleep(REST)
