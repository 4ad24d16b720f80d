"""Who is next: a work-conserving, fair order over everything that a process has taken."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from contracts.values import Priority

REMEMBERED = 4096
"""Turns of this many tenants, searches and places are remembered; forgetting one only lets it go first once."""

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Flow(Generic[T]):
    """The waiting requests of one claim. Its priority may be raised while they wait."""

    tenant: str
    search: str
    place: str
    priority: Priority
    firsts: dict[T, None] = field(default_factory=dict)
    others: dict[T, None] = field(default_factory=dict)

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Whose turn a grant to this flow is, from the widest to the narrowest."""
        return (self.tenant,), (self.tenant, self.search), (self.tenant, self.search, self.place)


class FairQueue(Generic[T]):
    """`user` before `refresh` before `ingest`; then round robin over tenants, their searches, first pages, then UFs."""

    def __init__(self) -> None:
        self._flows: dict[Flow[T], None] = {}
        self._served: dict[tuple[str, ...], int] = {}
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self._flows)

    def __len__(self) -> int:
        return sum(len(flow.firsts) + len(flow.others) for flow in self._flows)

    def push(self, flow: Flow[T], ticket: T, *, first: bool) -> None:
        """Let a ticket wait; a first page tells how much there is and goes before the flow's others."""
        (flow.firsts if first else flow.others)[ticket] = None
        self._flows[flow] = None

    def drop(self, flow: Flow[T], ticket: T) -> None:
        """Withdraw a ticket; one that does not wait (any more) is no error."""
        flow.firsts.pop(ticket, None)
        flow.others.pop(ticket, None)
        self._forget_if_empty(flow)

    def pop(self) -> T:
        """The ticket whose turn it is; IndexError when none waits."""
        if not self._flows:
            raise IndexError("nobody waits")
        flow = min(self._flows, key=self._order)
        waiting = flow.firsts or flow.others
        ticket = next(iter(waiting))
        del waiting[ticket]
        self._forget_if_empty(flow)
        self._turn += 1
        for name in flow.names:
            self._served.pop(name, None)
            self._served[name] = self._turn
        while len(self._served) > REMEMBERED:
            del self._served[next(iter(self._served))]
        return ticket

    def take_out(self, place: str | None) -> list[T]:
        """Withdraw every ticket of this place; None: of all."""
        flows = [flow for flow in self._flows if place is None or flow.place == place]
        tickets = [ticket for flow in flows for ticket in (*flow.firsts, *flow.others)]
        for flow in flows:
            flow.firsts.clear()
            flow.others.clear()
            del self._flows[flow]
        return tickets

    def _order(self, flow: Flow[T]) -> tuple[int, int, int, bool, int]:
        tenant, search, place = (self._served.get(name, 0) for name in flow.names)
        return flow.priority.rank, tenant, search, not flow.firsts, place

    def _forget_if_empty(self, flow: Flow[T]) -> None:
        if not flow.firsts and not flow.others:
            self._flows.pop(flow, None)
