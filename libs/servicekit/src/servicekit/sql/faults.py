"""What a driver's error means: the database is away, its tables are not those of this code, or the code is wrong.

DependencyAway
└── SchemaMismatch
"""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from servicekit.errors import DependencyAway

_SQLITE_ERROR = 1
"""SQLite's word for a statement that it cannot run: no such table, no such column."""
_NO_SUCH_THING = ("42P01", "42703", "42883", "3F000")
"""PostgreSQL: table, column, function, schema."""
_SQLITE_OURS = frozenset({18, 19, 20, 21, 25})
"""Too big, constraint, mismatch, misuse, range."""
_POSTGRES_OURS = ("21", "22", "23", "42")
"""Cardinality, data, constraint, syntax or access."""


class SchemaMismatch(DependencyAway):
    """The database answers, but its tables are not those of this code: another version migrated it, or nobody did.

    Work waits as it does for a database that is away, since spending its tries would dead-letter all of it; but
    time alone mends nothing, so it is told as an error and the service is not ready.
    """

    def __init__(self, message: str) -> None:
        super().__init__("sql", message)
        self.code = "sql.schema_mismatch"


def fault_of(exc: BaseException) -> DependencyAway | None:
    """What the services are told instead of a driver's error; None when it is the code's own."""
    if isinstance(exc, DependencyAway):
        return exc
    if isinstance(exc, PoolTimeout | TimeoutError | OSError):
        return DependencyAway("sql", f"sql: {type(exc).__name__}")
    driver = exc.orig if isinstance(exc, DBAPIError) else exc
    sqlite: int | None = getattr(driver, "sqlite_errorcode", None)
    state: str | None = getattr(driver, "sqlstate", None)
    if (sqlite is None and state is None and not isinstance(exc, InterfaceError | OperationalError)) or driver is None:
        return None
    said = f"sql: {type(driver).__name__}: {driver}".splitlines()[0][:200]
    if sqlite == _SQLITE_ERROR or state in _NO_SUCH_THING:
        return SchemaMismatch(said)
    return None if _is_ours(driver, sqlite, state) else DependencyAway("sql", said)


def _is_ours(driver: BaseException, sqlite: int | None, state: str | None) -> bool:
    """Constraints, types, ranges and misuse are mistakes of the code; all else is the database's."""
    if sqlite is not None:
        return sqlite & 0xFF in _SQLITE_OURS
    if state is not None:
        return state.startswith(_POSTGRES_OURS)
    return isinstance(driver.__cause__, ValueError | TypeError)  # a value that asyncpg could not even send
