"""One database class for every service: what its errors mean, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from servicekit.errors import DependencyAway
from servicekit.sql.database import Database, Schema
from servicekit.sql.faults import SchemaMismatch

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("things", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(9)))
"""

things = sa.Table(
    "things", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(9))
)


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "0001_things.py").write_text(REVISION)
    return Schema("trial", versions)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path, schema: Schema) -> AsyncIterator[Database]:
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.execute(sa.schema.DropSchema("trial", cascade=True, if_exists=True))
        await engine.dispose()
    async with Database.of(schema, url, tmp_path) as database:
        yield database


async def say(database: Database, statement: str) -> None:
    async with database.writing() as connection:
        await connection.exec_driver_sql(statement)


class TestDatabase:
    async def test_keeps_and_gives_back(self, database: Database) -> None:
        async with database.writing() as connection:
            await connection.execute(sa.insert(things).values(id=1, name="one"))
        async with database.reading() as connection:
            assert (await connection.execute(sa.select(things.c.name))).scalars().all() == ["one"]
        assert database.fault is None

    async def test_leaves_a_mistake_of_the_code_as_it_is(self, database: Database) -> None:
        with pytest.raises(IntegrityError):
            await say(database, "INSERT INTO things (id) VALUES (1), (1)")
        assert database.fault is None

    @pytest.mark.parametrize("statement", ["SELECT nobody FROM things", "SELECT 1 FROM nothing"])
    async def test_tells_another_schema_from_an_outage_and_once(self, database: Database, statement: str) -> None:
        await database.migrate()
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(SchemaMismatch) as raised:
                    await say(database, statement)
        assert raised.value.code == "sql.schema_mismatch"
        assert isinstance(database.fault, SchemaMismatch)
        assert [(each["event"], each["log_level"]) for each in logs] == [("sql.schema_mismatch", "error")]

    async def test_serves_again_without_a_restart_once_the_schema_fits(self, database: Database) -> None:
        await say(database, "ALTER TABLE things RENAME COLUMN name TO called")
        with pytest.raises(SchemaMismatch):
            async with database.reading() as connection:
                await connection.execute(sa.select(things))
        await say(database, "ALTER TABLE things RENAME COLUMN called TO name")
        with capture_logs() as logs:
            async with database.reading() as connection:
                await connection.execute(sa.select(things))
        assert database.fault is None
        assert [each["event"] for each in logs] == ["sql.back"]

    async def test_refuses_tables_of_a_later_version(self, database: Database, schema: Schema) -> None:
        await say(database, "UPDATE alembic_version SET version_num = '0999'")
        later = Database(schema, database._url)
        with pytest.raises(SchemaMismatch, match="0999"):
            await later.migrate()
        assert isinstance(later.fault, SchemaMismatch)
        await later.close()

    async def test_still_reads_while_it_takes_no_writes(self, database: Database) -> None:
        await database.migrate()
        forbid = "PRAGMA query_only=ON" if database._sqlite else "SET default_transaction_read_only = on"
        await say(database, forbid)
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(DependencyAway) as raised:
                    await say(database, "INSERT INTO things (id) VALUES (1)")
                async with database.reading() as connection:
                    await connection.execute(sa.select(things))
        assert not isinstance(raised.value, SchemaMismatch)
        assert database.fault is not None
        assert [each["event"] for each in logs] == ["sql.away"]
        await database._writer.dispose()  # what a connection of before was told is forgotten
        await say(database, "INSERT INTO things (id) VALUES (1)")
        assert database.fault is None


class TestAwayDatabase:
    @pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:9/none", "sqlite:////nowhere/at/all.db"])
    async def test_is_told_once_and_is_no_mistake_of_the_code(self, schema: Schema, tmp_path: Path, url: str) -> None:
        async with Database.of(schema, url, tmp_path) as database:
            with capture_logs() as logs:
                for _ in range(3):
                    with pytest.raises(DependencyAway, match="sql"):
                        await database.migrate()
        assert [each["event"] for each in logs] == ["sql.away"]

    async def test_is_told_of_a_password_that_is_refused(
        self, schema: Schema, tmp_path: Path, postgres_url: str
    ) -> None:
        url = sa.make_url(postgres_url).set(username="nobody_we_know").render_as_string(hide_password=False)
        async with Database.of(schema, url, tmp_path) as database:
            with pytest.raises(DependencyAway):
                await database.migrate()

    async def test_is_told_of_a_file_that_is_no_database(self, schema: Schema, tmp_path: Path) -> None:
        (tmp_path / "trial.db").write_bytes(b"no database at all" * 100)
        async with Database.of(schema, None, tmp_path) as database:
            with pytest.raises(DependencyAway):
                await database.migrate()
