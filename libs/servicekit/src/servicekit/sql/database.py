"""One database, two engines: readers that never wait for a writer, and writers one after the other."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from servicekit.errors import DependencyAway
from servicekit.logs import log
from servicekit.sql.faults import SchemaMismatch, fault_of
from servicekit.sql.migrating import one_at_a_time, upgrade

_BUSY = timedelta(seconds=5)
_CONNECT = timedelta(seconds=3)
_READERS = 4
VERSIONS = "alembic_version"
"""Where Alembic keeps which revision the tables are of."""
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


@dataclass(frozen=True, slots=True)
class Schema:
    """What one service keeps in SQL: a schema of PostgreSQL, or a file of SQLite, of its own."""

    name: str
    migrations: Path
    """The directory of its Alembic revisions."""
    read_within: timedelta = timedelta(seconds=15)
    """A reading that takes longer is over."""
    write_within: timedelta = timedelta(seconds=30)

    @property
    def migration_lock(self) -> int:
        """The advisory lock under which one process migrates while the others wait."""
        return zlib.crc32(f"farol {self.name}".encode())


@dataclass(slots=True)
class Episode:
    """Being told once that the database is away, and once that it is back."""

    schema: str
    faults: dict[str, DependencyAway] = field(default_factory=dict)
    """Of reading and of writing: a database that is read-only serves one of them."""

    def failed(self, doing: str, fault: DependencyAway) -> None:
        """The first fault of an episode is told; one that time does not mend as an error."""
        known = {type(each) for each in self.faults.values()}
        self.faults[doing] = fault
        if isinstance(fault, SchemaMismatch) and SchemaMismatch not in known:
            log.error("sql.schema_mismatch", schema=self.schema, reason=str(fault))
        elif not known:
            log.warning("sql.away", schema=self.schema, reason=str(fault))

    def went_well(self, doing: str) -> None:
        """Nothing is told until all that had failed goes well again."""
        if self.faults.pop(doing, None) is not None and not self.faults:
            log.info("sql.back", schema=self.schema)


class Database:
    """Transactions on SQLite or PostgreSQL; what shows that it is away becomes `DependencyAway`."""

    def __init__(self, schema: Schema, url: URL) -> None:
        self._schema = schema
        self._url = url
        self._sqlite = url.get_backend_name() == "sqlite"
        self._writer = _engine(schema, url, size=1, begin="BEGIN IMMEDIATE")
        self._reader = _engine(schema, url, size=_READERS, begin="BEGIN")
        self._one_writer = asyncio.Lock()
        self._migrated = False
        self._episode = Episode(schema.name)

    @classmethod
    def of(cls, schema: Schema, database_url: str | None, data_dir: Path) -> "Database":
        """The PostgreSQL that is named, or the SQLite file of the data directory."""
        if not database_url:
            data_dir.mkdir(parents=True, exist_ok=True)
            return cls(schema, URL.create("sqlite+aiosqlite", database=str(data_dir / f"{schema.name}.db")))
        url = make_url(database_url)
        return cls(schema, url.set(drivername=_DRIVERS.get(url.drivername, url.drivername)))

    async def __aenter__(self) -> Self:
        """Nothing to open: the first who asks brings the tables to the newest shape."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let every connection go."""
        await self._writer.dispose()
        await self._reader.dispose()

    @property
    def fault(self) -> DependencyAway | None:
        """Why the last transaction failed; None while it goes well. A `SchemaMismatch` is no passing state."""
        faults = list(self._episode.faults.values())
        return next((each for each in faults if isinstance(each, SchemaMismatch)), faults[0] if faults else None)

    async def check(self) -> None:
        """For `servicekit.health`: reads nothing, and raises DependencyAway where not even that can be done."""
        if isinstance(fault := self.fault, SchemaMismatch):
            raise fault  # a statement that reads no table would take it for mended
        async with self.reading() as connection:
            await connection.execute(sa.select(sa.literal(1)))

    async def migrate(self) -> None:
        """Bring the tables to the newest shape, once; others that start at the same time wait for the lock."""
        if self._migrated:
            return
        async with (
            one_at_a_time(),
            self._one_writer,
            self._told("migrating"),
            asyncio.timeout(self._schema.write_within.total_seconds()),
        ):
            if self._migrated:
                return
            async with self._writer.begin() as connection:
                if not self._sqlite:
                    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(self._schema.migration_lock)))
                    await connection.execute(sa.schema.CreateSchema(self._schema.name, if_not_exists=True))
                try:
                    await connection.run_sync(upgrade, self._schema.migrations)
                except CommandError as exc:
                    raise SchemaMismatch(f"sql: {exc}") from exc
            self._migrated = True

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One connection to read with."""
        await self.migrate()
        within = asyncio.timeout(self._schema.read_within.total_seconds())
        async with self._told("reading"), within, self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction to write in; in one process one after the other."""
        await self.migrate()
        within = asyncio.timeout(self._schema.write_within.total_seconds())
        async with self._one_writer, self._told("writing"), within, self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def _told(self, doing: str) -> AsyncIterator[None]:
        try:
            yield
        except Exception as exc:
            fault = fault_of(exc)
            if fault is None:
                raise
            self._episode.failed(doing, fault)
            raise fault from exc
        self._episode.went_well(doing)

    async def revision(self) -> str | None:
        """The revision that the tables are of, brought to no other; None where there are none yet."""
        within = asyncio.timeout(self._schema.read_within.total_seconds())
        async with self._told("reading"), within, self._reader.connect() as connection:
            exists = await connection.run_sync(lambda sync: sa.inspect(sync).has_table(VERSIONS))
            if not exists:
                return None
            found: str | None = await connection.scalar(sa.text(f"SELECT version_num FROM {VERSIONS}"))  # noqa: S608 - our own word
            return found


def insert(connection: AsyncConnection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what happens to a row that is there already."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _engine(schema: Schema, url: URL, *, size: int, begin: str) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(
            url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=_BUSY.total_seconds(),
            pool_pre_ping=True,
            connect_args={
                "timeout": _CONNECT.total_seconds(),
                "command_timeout": schema.read_within.total_seconds(),
                "server_settings": {"search_path": schema.name, "application_name": f"farol-{schema.name}"},
            },
        )
    engine = create_async_engine(url, pool_size=size, max_overflow=0, pool_timeout=_BUSY.total_seconds())

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # the driver's own idea of when to BEGIN would leave reads before the first write outside the transaction
        connection.isolation_level = None
        cursor = connection.cursor()
        busy = f"busy_timeout={int(_BUSY.total_seconds() * 1000)}"
        # a new file gives the pages back that upkeep has freed; it must be said before the first table is made
        for pragma in (busy, "auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
