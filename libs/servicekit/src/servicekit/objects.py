"""Content too large for a message lies in the Object Store; messages carry a reference to it."""

import asyncio
import base64
import hashlib
from typing import Any, Final

import nats.errors
import orjson
from nats.js.object_store import ObjectStore

from contracts.report import ObjectRef
from servicekit.backoff import backoff
from servicekit.connection import Connection
from servicekit.errors import Rejected, Unavailable
from servicekit.reading import Reader

PUT_BUDGET: Final = 30.0
READS: Final = 3
"""Of one object while others write its name."""


class Objects:
    """Writes with nats-py, reads by direct get: a read leaves no consumer behind and survives a restart."""

    def __init__(self, connection: Connection, reader: Reader) -> None:
        self._connection = connection
        self._reader = reader

    async def put(self, bucket: str, name: str, data: bytes) -> ObjectRef:
        """Store it; the same name again replaces it."""
        loop = asyncio.get_running_loop()
        end, failures = loop.time() + PUT_BUDGET, 0
        while True:
            await self._connection.until_connected(max(0.0, end - loop.time()))
            try:
                store = ObjectStore(name=bucket, stream=f"OBJ_{bucket}", js=self._connection.js)
                async with asyncio.timeout_at(end):
                    await store.put(name, data)
            except (nats.errors.Error, TimeoutError, OSError) as exc:
                failures += 1
                if loop.time() >= end:
                    raise Unavailable("bus.object_store", f"{bucket} took no object: {exc!r}") from exc
                await asyncio.sleep(backoff(failures, first=0.1, most=2.0))
            else:
                return ObjectRef(bucket=bucket, name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    async def find(self, bucket: str, name: str) -> ObjectRef | None:
        """What lies under a name now; None when nothing does."""
        meta = await self._meta(bucket, name)
        if meta is None:
            return None
        digest = base64.urlsafe_b64decode(str(meta["digest"]).removeprefix("SHA-256=")).hex()
        return ObjectRef(bucket=bucket, name=name, size=meta.get("size", 0), sha256=digest)

    async def get(self, ref: ObjectRef) -> bytes:
        """The content of exactly this reference; Rejected when it is gone or was replaced.

        A writer that puts the same name again takes the old chunks away: what was read around it is read again.
        """
        stream = f"OBJ_{ref.bucket}"
        before = ""
        for _ in range(READS):
            about = await self._meta(ref.bucket, ref.name)
            if about is None:
                raise Rejected("object.missing", f"{ref.bucket}/{ref.name}")
            if about["nuid"] == before:
                break
            before = about["nuid"]
            chunks = await self._reader.range(stream, f"$O.{ref.bucket}.C.{before}") if about.get("size") else []
            data = b"".join(chunk.body for chunk in chunks)
            if hashlib.sha256(data).hexdigest() == ref.sha256:
                return data
        raise Rejected("object.changed", f"{ref.bucket}/{ref.name}")

    async def _meta(self, bucket: str, name: str) -> dict[str, Any] | None:
        token = base64.urlsafe_b64encode(name.encode()).decode()
        meta = await self._reader.last_in(f"OBJ_{bucket}", f"$O.{bucket}.M.{token}")
        about: dict[str, Any] = orjson.loads(meta.body) if meta is not None else {"deleted": True}
        return None if about.get("deleted") else about
