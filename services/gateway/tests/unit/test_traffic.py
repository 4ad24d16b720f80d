"""How many searches a tenant may run, whether requests wait, and how many requests a minute."""

from datetime import timedelta
from typing import Any

from contracts.search import Lease
from contracts.subjects import LEASE, Outgoing
from gateway.domain.traffic import Quota, Traffic

SECOND = timedelta(seconds=1)


def _heard(traffic: Traffic, fact: Outgoing, sequence: int, now: Any) -> None:
    traffic.hear(fact.subject, sequence, fact.body, now=now)


def _lease(told: Any) -> Outgoing:
    fact = Lease(search_id=told.search_id, owner="c1", at=told.asked_at)
    return LEASE.message(fact, search_id=told.search_id)


class TestTraffic:
    def test_admits_so_many_of_each_tenant_and_more_when_one_is_over(self, tell: Any) -> None:
        traffic, told = Traffic(most_running=2, longest_wait=SECOND), tell(search_id="a" * 32)
        now = told.asked_at
        assert [traffic.admit("local", each * 32, now=now) for each in "abc"] == [True, True, False]
        assert traffic.admit("acme", "d" * 32, now=now)
        assert traffic.left("local", now=now) == 0
        _heard(traffic, told.completed(None), 7, now)
        assert traffic.left("local", now=now) == 1

    def test_counts_a_search_once_however_it_learns_of_it(self, tell: Any) -> None:
        traffic, told = Traffic(most_running=2, longest_wait=SECOND), tell(search_id="a" * 32)
        traffic.admit("local", told.search_id, now=told.asked_at)
        _heard(traffic, told.requested(), 1, told.asked_at)
        assert traffic.running("local", now=told.asked_at) == 1

    def test_forgets_a_search_that_nobody_ended(self, told: Any) -> None:
        traffic = Traffic(most_running=1, longest_wait=SECOND)
        traffic.admit("local", "a" * 32, now=told.asked_at)
        assert not traffic.admit("local", "b" * 32, now=told.asked_at + 479 * SECOND)
        assert traffic.admit("local", "b" * 32, now=told.asked_at + 481 * SECOND)

    def test_is_backed_up_while_a_request_waits_too_long(self, told: Any) -> None:
        traffic, now = Traffic(most_running=5, longest_wait=SECOND), told.asked_at
        _heard(traffic, told.requested(), 1, now)
        assert not traffic.backed_up(now=now + SECOND)
        assert traffic.backed_up(now=now + 1.1 * SECOND)
        _heard(traffic, _lease(told), 2, now)
        assert not traffic.backed_up(now=now + 2 * SECOND)

    def test_takes_a_later_request_as_proof_that_earlier_ones_are_not_queued(self, tell: Any) -> None:
        traffic, first, second = Traffic(most_running=5, longest_wait=SECOND), tell("a" * 32), tell("b" * 32)
        now = first.asked_at
        _heard(traffic, first.requested(), 1, now)
        _heard(traffic, second.requested(), 2, now)
        _heard(traffic, _lease(second), 3, now)
        assert not traffic.backed_up(now=now + 5 * SECOND)

    def test_waits_on_for_what_was_asked_after_the_one_that_was_taken(self, tell: Any) -> None:
        traffic, first, second = Traffic(most_running=5, longest_wait=SECOND), tell("a" * 32), tell("b" * 32)
        now = first.asked_at
        _heard(traffic, first.requested(), 1, now)
        _heard(traffic, second.requested(), 2, now)
        _heard(traffic, _lease(first), 3, now)
        assert traffic.backed_up(now=now + 5 * SECOND)

    def test_survives_a_request_that_it_cannot_read(self, told: Any) -> None:
        traffic = Traffic(most_running=1, longest_wait=SECOND)
        traffic.hear(told.requested().subject, 1, b"{}", now=told.asked_at)
        assert not traffic.backed_up(now=told.asked_at + 9 * SECOND)


class TestQuota:
    def test_tells_what_is_left_and_when_it_begins_again(self) -> None:
        quota = Quota(per_minute=2)
        assert [quota.take("a", now=100.0 + n) for n in range(3)] == [(1, 60), (0, 59), (-1, 58)]
        assert quota.take("b", now=103.0) == (1, 60)
        assert quota.take("a", now=160.0) == (1, 60)
