"""One database, two engines: readers that never wait for a writer, and writers one after the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from servicekit.errors import DependencyAway
from servicekit.migrating import one_at_a_time

SCHEMA = "gateway"
_MIGRATION_LOCK = 0x6661726F6D
"""`farol` + 1: the advisory lock under which one process migrates while the others wait."""
_BUSY = timedelta(seconds=5)
_CONNECT = timedelta(seconds=3)
_READ = timedelta(seconds=5)
_WRITE = timedelta(seconds=10)
_READERS = 4


class Database:
    """Transactions on SQLite or PostgreSQL; what shows that it is away becomes `DependencyAway`."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._sqlite = url.get_backend_name() == "sqlite"
        self._writer = _engine(url, size=1, begin="BEGIN IMMEDIATE")
        self._reader = _engine(url, size=_READERS, begin="BEGIN")
        self._one_writer = asyncio.Lock()
        self._migrated = False

    @classmethod
    def of(cls, database_url: str | None, data_dir: Path) -> "Database":
        """The PostgreSQL that is named, or the SQLite file of the data directory."""
        if not database_url:
            data_dir.mkdir(parents=True, exist_ok=True)
            return cls(URL.create("sqlite+aiosqlite", database=str(data_dir / "gateway.db")))
        url = make_url(database_url)
        drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
        return cls(url.set(drivername=drivers.get(url.drivername, url.drivername)))

    async def __aenter__(self) -> Self:
        """Nothing to open: the first who asks brings the tables to the newest shape."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let every connection go."""
        await self._writer.dispose()
        await self._reader.dispose()

    async def migrate(self) -> None:
        """Bring the tables to the newest shape, once; others that start at the same time wait for the lock."""
        if self._migrated:
            return
        async with one_at_a_time(), self._one_writer, _away_is_told(), asyncio.timeout(_WRITE.total_seconds()):
            if self._migrated:
                return
            async with self._writer.begin() as connection:
                if not self._sqlite:
                    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                    await connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
                await connection.run_sync(_upgrade)
            self._migrated = True

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One connection to read with."""
        await self.migrate()
        async with _away_is_told(), asyncio.timeout(_READ.total_seconds()), self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def storing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction to write in; in one process one after the other."""
        await self.migrate()
        async with (
            self._one_writer,
            _away_is_told(),
            asyncio.timeout(_WRITE.total_seconds()),
            self._writer.begin() as connection,
        ):
            yield connection


def _engine(url: URL, *, size: int, begin: str) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(
            url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=_BUSY.total_seconds(),
            pool_pre_ping=True,
            connect_args={
                "timeout": _CONNECT.total_seconds(),
                "command_timeout": _READ.total_seconds(),
                "server_settings": {"search_path": SCHEMA, "application_name": "farol-gateway"},
            },
        )
    engine = create_async_engine(url, pool_size=size, max_overflow=0, pool_timeout=_BUSY.total_seconds())

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # the driver's own idea of when to BEGIN would leave reads before the first write outside the transaction
        connection.isolation_level = None
        cursor = connection.cursor()
        busy = f"busy_timeout={int(_BUSY.total_seconds() * 1000)}"
        for pragma in (busy, "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _upgrade(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@asynccontextmanager
async def _away_is_told() -> AsyncIterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, TimeoutError, OSError) as exc:
        raise _away(exc) from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise _away(exc) from exc
        raise


def _away(exc: Exception) -> DependencyAway:
    return DependencyAway("sql", f"sql: {type(exc).__name__}")


def insert(connection: AsyncConnection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what happens to a row that is there already."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
