import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from contracts.report import ObjectRef
from servicekit.envelope import Stored
from servicekit.errors import Rejected
from servicekit.objects import Objects

DATA = b"the same file, made twice"
REF = ObjectRef(bucket="FILES", name="f", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


def stored(body: bytes) -> Stored:
    return Stored(sequence=1, subject="s", body=body, time=datetime(2026, 11, 22, tzinfo=UTC))


class Bucket:
    """An object that is put again each time its description was read, `puts` times; the old chunks are then gone."""

    def __init__(self, puts: int, content: bytes = DATA) -> None:
        self.puts = puts
        self.content = content
        self.nuid = 0
        self.reads = 0

    async def last_in(self, _stream: str, _subject: str) -> Stored:
        told = stored(orjson.dumps({"nuid": f"n{self.nuid}", "size": len(self.content)}))
        if self.puts:
            self.puts, self.nuid = self.puts - 1, self.nuid + 1
        return told

    async def range(self, _stream: str, subject: str) -> list[Stored]:
        self.reads += 1
        return [stored(self.content)] if subject.endswith(f".n{self.nuid}") else []


def objects(bucket: Any) -> Objects:
    return Objects(None, bucket)  # type: ignore[arg-type]  # reading needs no connection


class TestGet:
    async def test_reads_again_what_was_put_again_meanwhile(self) -> None:
        assert await objects(Bucket(puts=1)).get(REF) == DATA

    async def test_gives_up_when_it_is_put_again_and_again(self) -> None:
        with pytest.raises(Rejected, match="FILES/f"):
            await objects(Bucket(puts=99)).get(REF)

    async def test_reads_another_content_only_once(self) -> None:
        bucket = Bucket(puts=0, content=b"another")
        with pytest.raises(Rejected) as changed:
            await objects(bucket).get(REF)
        assert (changed.value.code, bucket.reads) == ("object.changed", 1)
