import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import Priority
from fetcher.domain import fair
from fetcher.domain.fair import FairQueue, Flow


def flow(tenant: str = "t", search: str = "s", place: str = "SP", priority: Priority = Priority.USER) -> Flow[str]:
    return Flow(tenant=tenant, search=search, place=place, priority=priority)


def drained(queue: FairQueue[str]) -> list[str]:
    tickets = []
    while queue:
        tickets.append(queue.pop())
    return tickets


class TestFairQueue:
    def test_lets_first_pages_of_a_search_go_before_its_other_pages(self) -> None:
        queue: FairQueue[str] = FairQueue()
        sp, rj = flow(place="SP"), flow(place="RJ")
        queue.push(sp, "SP 2", first=False)
        queue.push(sp, "SP 3", first=False)
        queue.push(rj, "RJ 1", first=True)
        queue.push(sp, "SP 1", first=True)
        assert drained(queue) == ["SP 1", "RJ 1", "SP 2", "SP 3"]

    def test_serves_user_before_refresh_before_ingest(self) -> None:
        queue: FairQueue[str] = FairQueue()
        for priority in (Priority.INGEST, Priority.USER, Priority.REFRESH):
            queue.push(flow(place=priority, priority=priority), priority, first=priority is Priority.INGEST)
        assert drained(queue) == ["user", "refresh", "ingest"]

    def test_takes_turns_between_tenants_however_much_one_asks(self) -> None:
        queue: FairQueue[str] = FairQueue()
        greedy, modest = flow(tenant="greedy"), flow(tenant="modest")
        for page in range(6):
            queue.push(greedy, f"g{page}", first=False)
        for page in range(2):
            queue.push(modest, f"m{page}", first=False)
        assert drained(queue) == ["g0", "m0", "g1", "m1", "g2", "g3", "g4", "g5"]

    def test_gives_a_small_search_every_second_turn_beside_a_national_one(self) -> None:
        queue: FairQueue[str] = FairQueue()
        for uf in ("SP", "RJ", "MG", "BA"):
            for page in range(3):
                queue.push(flow(search="national", place=uf), f"{uf}{page}", first=page == 0)
        queue.push(flow(search="small", place="AC"), "AC0", first=True)
        assert "AC0" in [queue.pop(), queue.pop()]

    def test_takes_turns_between_ufs_of_one_search(self) -> None:
        queue: FairQueue[str] = FairQueue()
        sp, rj = flow(place="SP"), flow(place="RJ")
        for page in range(3):
            queue.push(sp, f"SP{page}", first=False)
            queue.push(rj, f"RJ{page}", first=False)
        assert drained(queue) == ["SP0", "RJ0", "SP1", "RJ1", "SP2", "RJ2"]

    def test_minds_a_priority_raised_while_waiting(self) -> None:
        queue: FairQueue[str] = FairQueue()
        slow, quick = flow(place="slow", priority=Priority.INGEST), flow(place="quick", priority=Priority.REFRESH)
        queue.push(slow, "slow", first=False)
        queue.push(quick, "quick", first=False)
        slow.priority = Priority.USER
        assert queue.pop() == "slow"

    def test_forgets_a_withdrawn_ticket(self) -> None:
        queue: FairQueue[str] = FairQueue()
        one = flow()
        queue.push(one, "gone", first=True)
        queue.drop(one, "gone")
        queue.drop(one, "never there")
        assert not queue
        with pytest.raises(IndexError):
            queue.pop()

    def test_remembers_a_bounded_number_of_turns(self) -> None:
        queue: FairQueue[str] = FairQueue()
        for number in range(fair.REMEMBERED):
            queue.push(flow(search=f"s{number}"), "x", first=True)
            queue.pop()
        assert len(queue._served) <= fair.REMEMBERED

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), max_size=60))
    def test_hands_out_each_ticket_exactly_once(self, asked: list[tuple[str, str, bool]]) -> None:
        queue: FairQueue[str] = FairQueue()
        flows = {(t, s): flow(tenant=t, search=s) for t in "ab" for s in "xyz"}
        for number, (tenant, search, first) in enumerate(asked):
            queue.push(flows[tenant, search], str(number), first=first)
        assert sorted(drained(queue), key=int) == [str(n) for n in range(len(asked))]
