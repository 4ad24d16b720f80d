"""A TCP proxy on 127.0.0.1 whose link can be slowed, cut, reset or swallowed; for tests."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

CHUNK = 65_536


class TcpFaultProxy:
    """Forwards to a target; each fault holds until `heal`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._swallowing = False
        self.latency = 0.0
        """Seconds that each chunk waits, each way."""
        self.port = 0
        self.accepted = 0
        """Connections that were let in."""

    @property
    def url(self) -> str:
        """Where a NATS client connects."""
        return f"nats://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.cut()
        self._flowing.set()
        if self._server is not None:
            self._server.close()
        links = set(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        self._refusing = True
        for writer in set(self._writers):
            writer.close()

    def reset(self) -> None:
        """Break every connection with RST; new ones are let in."""
        for writer in set(self._writers):
            handle = writer.get_extra_info("socket")
            if handle is not None:
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def blackhole(self) -> None:
        """Keep connections open and let nothing through."""
        self._flowing.clear()

    def swallow_replies(self) -> None:
        """Let requests through and throw away what comes back."""
        self._swallowing = True

    def heal(self) -> None:
        """No fault any more."""
        self._refusing = self._swallowing = False
        self.latency = 0.0
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._links.add(task)
            task.add_done_callback(self._links.discard)
        if self._refusing:
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self.accepted += 1
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer, replies=True))
        finally:
            for each in (writer, far_writer):
                self._writers.discard(each)
                each.close()
                with suppress(OSError):
                    await each.wait_closed()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, replies: bool = False) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK):
                if self.latency:
                    await asyncio.sleep(self.latency)
                await self._flowing.wait()
                if replies and self._swallowing:
                    continue
                sink.write(chunk)
                await sink.drain()
        sink.close()
