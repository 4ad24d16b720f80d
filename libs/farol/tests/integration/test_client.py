import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from farol import client as client_module
from farol.client import FarolClient, FarolError
from farol.sse import ServerEvent

Answer = Callable[[dict[str, str]], Awaitable[list[bytes]]]
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def gateway(answer: Answer) -> AsyncIterator[str]:
    """A server that writes what the test says, byte for byte, then hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {"request": lines[0]} | dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        for chunk in await answer(headers):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=60)


async def followed(url: str) -> list[ServerEvent]:
    async with FarolClient(url, "farol_a_b") as farol:
        return [event async for event in farol.follow("s" * 32, until=soon(), now=lambda: datetime.now(UTC))]


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", timedelta(milliseconds=1))
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", timedelta(milliseconds=5))


class TestFollow:
    async def test_goes_on_after_a_cut_where_it_was_and_gives_each_event_once(self) -> None:
        asked: list[str | None] = []

        async def answer(headers: dict[str, str]) -> list[bytes]:
            asked.append(headers.get("last-event-id"))
            if len(asked) == 1:
                return [STREAM, b'id: e-1\nevent: progress\ndata: {"progress":1}\n\nid: e-2\nevent: prog']
            if len(asked) == 2:
                return []
            return [STREAM, b'id: e-2\nevent: progress\ndata: {"progress":2}\n\nid: e-3\nevent: closed\ndata: {}\n\n']

        async with gateway(answer) as url:
            events = await followed(url)
        assert [event.id for event in events] == ["e-1", "e-2", "e-3"]
        assert asked == [None, "e-1", "e-1"]

    async def test_comes_back_when_it_is_told_to_reconnect(self) -> None:
        calls = 0

        async def answer(_headers: dict[str, str]) -> list[bytes]:
            nonlocal calls
            calls += 1
            name = b"reconnect" if calls == 1 else b"closed"
            return [STREAM, b"event: %b\ndata: {}\n\n" % name]

        async with gateway(answer) as url:
            assert [event.name for event in await followed(url)] == ["reconnect", "closed"]

    async def test_ends_when_there_is_nothing_left(self) -> None:
        async def answer(_headers: dict[str, str]) -> list[bytes]:
            return [b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"]

        async with gateway(answer) as url:
            assert await followed(url) == []

    async def test_says_what_is_wrong_in_the_words_of_the_problem(self) -> None:
        body = (
            b'{"detail":"N\xc3\xa3o h\xc3\xa1 busca com este identificador.","code":"search.not_found",'
            b'"errors":[{"pointer":"#/ufs/0","message":"valor desconhecido"}]}'
        )

        async def answer(_headers: dict[str, str]) -> list[bytes]:
            head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            return [head % len(body), body]

        async with gateway(answer) as url:
            with pytest.raises(FarolError, match=r"Não há busca .*search.not_found.*#/ufs/0 valor desconhecido"):
                await followed(url)


class TestAsk:
    async def test_says_how_to_start_when_nothing_answers(self) -> None:
        async with FarolClient("http://127.0.0.1:9", None) as farol:
            with pytest.raises(FarolError, match="farol up"):
                await farol.ask({})


class TestSpreadsheet:
    async def test_takes_the_plain_name_and_no_path(self) -> None:
        names = iter([b'filename="farol-vestuario-SP.xlsx"', b'filename="../../etc/passwd"'])

        async def answer(_headers: dict[str, str]) -> list[bytes]:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n"
            return [head, b"Content-Disposition: attachment; %b\r\n\r\nPK" % next(names)]

        async with gateway(answer) as url, FarolClient(url, None) as farol:
            first = await farol.spreadsheet("s" * 32)
            second = await farol.spreadsheet("s" * 32)
        assert first is not None
        assert second is not None
        assert (first.name, first.content) == ("farol-vestuario-SP.xlsx", b"PK")
        assert second.name == f"farol-{'s' * 32}.xlsx"
