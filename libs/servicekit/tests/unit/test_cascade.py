"""The cascade over levels that fail, forget and come back: it never serves less than the best living level holds."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from contracts.answers import AnswerPriority
from contracts.samples import NOW, stored_answer
from contracts.stored import Age, Level, StoredAnswer
from servicekit.cascade import Cascade, Entry, Tier
from servicekit.errors import DependencyAway
from servicekit.shared.circuit import Circuit, Policy
from servicekit.shared.local_answers import TTL, LocalAnswers, LocalBudget

KEY = "v2-sample"
NEVER_OPENS = Policy(least_calls=10**6)


class Shelf:
    """A level whose store is what the test says: there, away or hanging."""

    unreadable = 0

    def __init__(self):
        self.held = {}
        self.mode = "there"
        self.calls = 0

    async def _here(self):
        self.calls += 1
        if self.mode == "hangs":
            await asyncio.Event().wait()
        if self.mode == "away":
            raise DependencyAway("shelf")

    async def get(self, key):
        await self._here()
        return self.held.get(key)

    async def keep(self, entry):
        await self._here()
        held = self.held.get(entry.stored.key)
        if held is None or not held[0].better_than(entry.stored):
            self.held[entry.stored.key] = (entry.stored, entry.rows)

    async def drop(self, key):
        await self._here()
        return self.held.pop(key, None) is not None

    async def clear(self):
        await self._here()
        self.held.clear()
        return 0

    async def count(self):
        return len(self.held)


def cascade(now=lambda: NOW, *, breaker=False):
    shelves = {level: Shelf() for level in Level}
    tiers = [Tier(level, shelf, timedelta(milliseconds=20)) for level, shelf in shelves.items()]
    if not breaker:
        for tier in tiers:
            tier.circuit = Circuit("quiet", NEVER_OPENS)
    return Cascade(tiers, clock=now), shelves


def entry(**more) -> Entry:
    return Entry(stored_answer(**more), b"rows")


class TestCascade:
    @pytest.mark.parametrize("mode", ["away", "hangs"])
    @pytest.mark.parametrize("level", list(Level))
    async def test_serves_from_the_next_level_and_says_which(self, level, mode):
        many, shelves = cascade()
        assert await many.keep(entry()) == ()
        shelves[level].mode = mode
        found = await many.find(KEY)
        assert found is not None
        assert found.level is (Level.DATABASE if level is Level.MEMORY else Level.MEMORY)

    @pytest.mark.parametrize(("hours", "age"), [(6, Age.FRESH), (7, Age.STALE), (25, None)])
    async def test_tells_how_old_it_is_and_serves_nothing_expired(self, hours, age):
        many, _ = cascade(lambda: NOW + timedelta(hours=hours))
        await many.keep(entry())
        found = await many.find(KEY)
        assert (found.age if found else None) is age

    async def test_names_the_levels_that_missed_a_write_and_replays_them(self):
        many, shelves = cascade()
        await many.keep(entry())
        shelves[Level.MEMORY].mode = "away"
        newer = entry(finished_at=NOW + timedelta(minutes=5), rows=b"rows")
        assert await many.keep(newer) == (Level.MEMORY,)
        with pytest.raises(DependencyAway):
            await many.keep_at(Level.MEMORY, newer)
        shelves[Level.MEMORY].mode = "there"
        found = await many.find(KEY)
        assert (found.entry, found.level) == (newer, Level.DATABASE), "its own is older, and it knows"
        await many.keep_at(Level.MEMORY, newer)
        assert (await many.find(KEY)).level is Level.MEMORY

    async def test_asks_a_level_that_fails_again_and_again_no_longer_and_warns_once(self):
        many, shelves = cascade(breaker=True)
        await many.keep(entry())
        shelves[Level.MEMORY].mode = "hangs"
        with capture_logs() as logs:
            for _ in range(12):
                assert (await many.find(KEY)).level is Level.DATABASE
        assert shelves[Level.MEMORY].calls < 8
        assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["level_away"]

    async def test_refills_what_a_higher_level_has_let_go(self):
        many, shelves = cascade()
        await many.keep(entry())
        shelves[Level.MEMORY].held.clear()
        found = await many.find(KEY)
        assert found.level is Level.DATABASE
        await many.refill(found)
        assert (await many.find(KEY)).level is Level.MEMORY

    async def test_forgets_at_every_level(self):
        many, _ = cascade()
        await many.keep(entry())
        assert await many.drop(KEY)
        assert await many.find(KEY) is None
        assert not await many.drop(KEY)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.integers(0, 100), st.integers(0, 3)),
        st.tuples(st.just("fail"), st.sampled_from(list(Level)), st.booleans()),
        st.tuples(st.just("forget"), st.sampled_from(list(Level)), st.none()),
        st.tuples(st.just("pass"), st.integers(0, 9), st.none()),
        st.tuples(st.just("refill"), st.none(), st.none()),
    ),
    max_size=25,
)


class TestLaw:
    @settings(deadline=None, max_examples=200)
    @given(STEPS)
    def test_never_serves_less_than_the_best_living_level_holds(self, steps):
        asyncio.run(self._play(steps))

    async def _play(self, steps):
        now = NOW
        many, shelves = cascade(lambda: now)
        for step, one, other in steps:
            if step == "keep":
                await many.keep(entry(coverage_pct=one, finished_at=now - timedelta(minutes=other)))
            elif step == "fail":
                shelves[one].mode = "away" if other else "there"
            elif step == "forget" and shelves[one].mode == "there":
                shelves[one].held.clear()
            elif step == "pass":
                now += timedelta(hours=one)
            elif step == "refill" and (found := await many.find(KEY)):
                await many.refill(found)
            best = self._best(shelves, now)
            found = await many.find(KEY)
            assert (found is None) == (best is None)
            assert found is None or not best.better_than(found.entry.stored)

    def _best(self, shelves: dict[Level, Shelf], now: datetime) -> StoredAnswer | None:
        there = [shelf.held[KEY][0] for shelf in shelves.values() if shelf.mode == "there" and KEY in shelf.held]
        alive = [stored for stored in there if stored.age(now) is not Age.EXPIRED]
        return max(alive, key=lambda stored: (stored.worth, stored.ref.sha256), default=None)


def held_by(shelf: LocalAnswers) -> list[str]:
    """Without using any of them."""
    return [key for each in shelf._shelves.values() for key in each]


class TestLocalAnswers:
    def test_lets_cold_go_before_warm_before_hot_and_the_longest_unused_first(self):
        shelf = LocalAnswers(most_entries=4)
        for key, priority in (("hot", "hot"), ("warm", "warm"), ("cold-1", "cold"), ("cold-2", "cold")):
            shelf.put(stored_answer(key), b"", AnswerPriority(priority), now=NOW)
        assert shelf.get("cold-1", now=NOW)  # used last
        gone = []
        for number in range(3):
            before = set(held_by(shelf))
            shelf.put(stored_answer(f"new-{number}"), b"", AnswerPriority.HOT, now=NOW)
            gone += sorted(before - set(held_by(shelf)))
        assert gone == ["cold-2", "cold-1", "warm"]
        shelf.put(stored_answer("new-3"), b"", AnswerPriority.HOT, now=NOW)
        assert "hot" not in held_by(shelf)

    @pytest.mark.parametrize("priority", list(AnswerPriority))
    def test_keeps_each_priority_for_its_time(self, priority):
        shelf = LocalAnswers()
        shelf.put(stored_answer(KEY), b"", priority, now=NOW)
        ends = NOW + TTL[priority]
        assert shelf.get(KEY, now=ends - timedelta(seconds=1))
        assert shelf.get(KEY, now=ends) is None
        assert len(shelf) == 0

    def test_is_bounded_by_bytes(self):
        shelf = LocalAnswers(most_bytes=100_000)
        for number in range(50):
            shelf.put(stored_answer(f"v2-{number}"), b"x" * 10_000, AnswerPriority.COLD, now=NOW)
        assert 1 <= len(shelf) < 10


class TestBudget:
    def test_lets_three_of_ten_thousand_that_end_together_be_made_anew(self):
        budget, rest = LocalBudget(), timedelta(minutes=10)
        lasts = timedelta(seconds=180)
        begun = [budget.begin(f"v2-{number}", now=NOW, most=3, lasts=lasts, rest=rest) for number in range(10_000)]
        assert begun.count("begin") == 3
        assert budget.running(now=NOW) == 3
        assert budget.begin("v2-0", now=NOW, most=3, lasts=lasts, rest=rest) == "joined"
        budget.end("v2-0")
        assert budget.begin("v2-0", now=NOW, most=3, lasts=lasts, rest=rest) == "no", "its key rests"
        assert budget.begin("v2-9999", now=NOW, most=3, lasts=lasts, rest=rest) == "begin"
        assert budget.begin("v2-0", now=NOW + rest, most=3, lasts=lasts, rest=rest) == "begin"
