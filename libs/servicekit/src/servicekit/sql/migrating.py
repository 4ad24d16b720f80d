"""Bringing the tables of one service to the newest shape."""

import asyncio
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

_FRAME: Final = Path(__file__).parent / "frame"
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


def one_at_a_time() -> asyncio.Lock:
    """The lock of this event loop under which a service migrates: Alembic keeps its place in globals."""
    return _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def upgrade(connection: sa.Connection, migrations: Path) -> None:
    """Run what is missing of the migrations in a directory; raises alembic's CommandError when they do not fit."""
    config = _config(migrations)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def revisions(migrations: Path) -> tuple[str, ...]:
    """Every revision in a directory, the oldest first."""
    found = ScriptDirectory.from_config(_config(migrations)).walk_revisions()
    return tuple(each.revision for each in found)[::-1]


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FRAME))
    config.set_main_option("version_locations", str(migrations))
    config.set_main_option("path_separator", "os")
    return config
