"""B02: hot answers are made anew of themselves, within the budget, and not while a source is away."""

from datetime import timedelta
from typing import Any

import pytest

from cache.adapters.circuits import Circuits
from cache.handlers.remembering import SYSTEM_TENANT, Memory
from contracts.ops import BreakerChanged, CircuitState
from contracts.places import UF
from contracts.samples import NOW, requested
from contracts.search import Requested
from contracts.values import Priority, Source

QUERY = requested(UF.SP).query


def change(after: CircuitState, *, uf: UF | None = None) -> BreakerChanged:
    retry_at = NOW + timedelta(minutes=1) if after is CircuitState.OPEN else None
    return BreakerChanged(
        source=Source.PNCP, uf=uf, before=CircuitState.CLOSED, after=after, reason="error_rate", at=NOW,
        retry_at=retry_at,
    )  # fmt: skip


class World:
    """Five hot answers that are due, and room for so many refreshes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sent: list[Requested] = []

    async def wanting(self, *, now: Any, most: int) -> list[Any]:
        return [(f"v2-{n}", QUERY) for n in range(5)]

    async def begin(self, _key: str) -> str:
        self.room -= 1
        return "begin" if self.room >= 0 else "no"

    async def publish(self, outgoing: Any) -> None:
        self.sent.append(outgoing.value)


def memory(world: Any, circuits: Circuits) -> Memory:
    return Memory(
        cascade=world, answers=world, budget=world, ledger=world, bus=world, circuits=circuits, now=lambda: NOW
    )


class TestRefreshHot:
    @pytest.mark.parametrize(("room", "begun"), [(0, 0), (3, 3), (9, 5)])
    async def test_begins_no_more_than_the_budget_gives(self, room: int, begun: int) -> None:
        world = World(room)
        assert await memory(world, Circuits()).refresh_hot() == begun
        assert len({each.search_id for each in world.sent}) == begun
        assert {(each.tenant, each.priority) for each in world.sent} <= {(SYSTEM_TENANT, Priority.REFRESH)}

    async def test_begins_nothing_while_a_source_is_away(self) -> None:
        world, circuits = World(9), Circuits()
        circuits.heard(change(CircuitState.OPEN))
        assert await memory(world, circuits).refresh_hot() == 0
        assert circuits.heard(change(CircuitState.CLOSED))
        assert await memory(world, circuits).refresh_hot() == 5


class TestCircuits:
    def test_count_a_source_as_away_until_its_probe_is_due(self) -> None:
        circuits = Circuits()
        assert not circuits.heard(change(CircuitState.OPEN))
        assert circuits.any_open(NOW)
        assert not circuits.any_open(NOW + timedelta(minutes=1))

    def test_do_not_take_one_uf_for_the_source(self) -> None:
        circuits = Circuits()
        assert not circuits.heard(change(CircuitState.OPEN, uf=UF.SP))
        assert not circuits.any_open(NOW)
        assert not circuits.heard(change(CircuitState.CLOSED, uf=UF.SP))
