"""When a cache process says that it is not to be given work."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from cache.adapters.sql.schema import SCHEMA
from cache.app import build
from cache.settings import CacheSettings
from servicekit.sql.database import Database
from servicekit.sql.faults import SchemaMismatch


async def shape(path: Path, version: str) -> None:
    """Leave the tables of a data directory as a program of this version would."""
    database = Database.of(SCHEMA, None, path)
    async with database.writing() as connection:
        await connection.execute(
            sa.text("UPDATE alembic_version SET version_num = :version").bindparams(version=version)
        )
    await database.close()


class TestReadiness:
    async def test_is_lost_while_the_tables_are_those_of_a_later_program(self, tmp_path: Path) -> None:
        await shape(tmp_path, "0999")
        service = build(CacheSettings(data_dir=tmp_path, database_url=None))
        async with service.parts[0]:
            for _ in range(2):
                with pytest.raises(SchemaMismatch):
                    await service.helpful["sql"]()
                with pytest.raises(SchemaMismatch):
                    await service.needed["schema"]()

    async def test_is_there_on_tables_of_its_own_shape(self, tmp_path: Path) -> None:
        service = build(CacheSettings(data_dir=tmp_path, database_url=None))
        async with service.parts[0]:
            await service.helpful["sql"]()
            await service.needed["schema"]()
