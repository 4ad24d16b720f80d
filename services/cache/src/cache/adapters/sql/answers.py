"""Finished answers."""

from cache.adapters.sql.schema import storing, upsert
from cache.adapters.sql.tables import answers
from contracts.memory import Remember
from servicekit.sql.database import Database


class SqlAnswers:
    """Where finished answers lie; raises DependencyAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, answer: Remember) -> None:
        """Keep where a finished answer lies."""
        row = {
            "search_id": answer.search_id,
            "key": answer.key,
            "ref": answer.answer_ref.model_dump_json(),
            "coverage": answer.coverage.model_dump_json(),
            "oldest_fetched_at": answer.oldest_fetched_at,
            "created_at": answer.created_at,
        }
        async with storing(self._database) as (connection, _seq):
            await upsert(connection, answers, [row])
