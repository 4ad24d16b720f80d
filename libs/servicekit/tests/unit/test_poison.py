from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.subjects import CACHE_ARCHIVE
from servicekit.consuming import delivery_limit, kills_its_takers

CONSUMER = replace(CACHE_ARCHIVE, ack_wait=timedelta(seconds=5))
LIMIT = delivery_limit(CONSUMER)
LONG = LIMIT * CONSUMER.ack_wait


class TestKillsItsTakers:
    def test_is_true_of_what_nobody_here_answered_in_more_deliveries_than_the_limit(self) -> None:
        assert kills_its_takers(CONSUMER, deliveries=LIMIT + 1, age=LONG, answered_here=False)

    @pytest.mark.parametrize(
        ("deliveries", "age", "answered_here"),
        [
            pytest.param(LIMIT, 10 * LONG, False, id="too few deliveries"),
            pytest.param(10 * LIMIT, 10 * LONG, True, id="this process outlived it"),
            pytest.param(10 * LIMIT, LONG - timedelta(seconds=1), False, id="too young: others gave it back"),
        ],
    )
    def test_is_false_where_any_other_explanation_is_left(
        self, deliveries: int, age: timedelta, answered_here: bool
    ) -> None:
        assert not kills_its_takers(CONSUMER, deliveries=deliveries, age=age, answered_here=answered_here)
