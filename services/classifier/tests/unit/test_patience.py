from datetime import UTC, datetime

import pytest

from classifier.patience import REST, Patience
from servicekit.errors import DependencyAway


class Shared:
    """Answers, or is away, and counts who asked."""

    def __init__(self) -> None:
        self.away, self.asked = False, 0

    async def get(self) -> int:
        self.asked += 1
        if self.away:
            raise DependencyAway("sql", "sql: gone")
        return self.asked


class TestPatience:
    async def test_leaves_alone_for_a_while_what_was_asked_in_vain(self) -> None:
        now = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
        moments = [now]
        shared, patience = Shared(), Patience(lambda: moments[-1])
        assert await patience.ask(shared.get) == 1
        shared.away = True
        for _ in range(3):
            with pytest.raises(DependencyAway):
                await patience.ask(shared.get)
        assert shared.asked == 2
        shared.away = False
        moments.append(now + REST)
        assert [await patience.ask(shared.get) for _ in range(2)] == [3, 4]
