import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.domain.bucket import Bucket


def grants(bucket: Bucket, lateness: list[float]) -> list[float]:
    """Take as eagerly as the bucket allows, each timer firing late by so much."""
    now = 100.0
    moments = []
    for late in lateness:
        now = max(now, bucket.due()) + late
        bucket.take(now)
        moments.append(now)
    return moments


class TestBucket:
    def test_grants_the_first_at_once(self) -> None:
        assert Bucket(10).due() <= 0

    def test_spaces_grants_evenly(self) -> None:
        moments = grants(Bucket(10), [0.0] * 30)
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert min(gaps) == pytest.approx(0.101)
        assert max(gaps) == pytest.approx(0.101)

    @given(
        rate=st.integers(1, 50),
        lateness=st.lists(st.floats(0, 0.3) | st.just(0.0) | st.floats(0, 5), min_size=2, max_size=200),
    )
    def test_never_grants_more_than_the_rate_in_any_sliding_second(self, rate: int, lateness: list[float]) -> None:
        moments = grants(Bucket(rate), lateness)
        for first, beyond in zip(moments, moments[rate:], strict=False):
            assert beyond - first >= 1.0

    def test_does_not_save_up_while_idle(self) -> None:
        bucket = Bucket(10)
        bucket.take(0.0)
        bucket.take(60.0)
        assert bucket.due() - 60.0 == pytest.approx(0.101)

    def test_makes_good_what_late_timers_cost(self) -> None:
        moments = grants(Bucket(50), [0.001] * 500)
        assert (len(moments) - 1) / (moments[-1] - moments[0]) > 0.97 * 50

    def test_holds_back_while_the_source_refuses(self) -> None:
        bucket = Bucket(10)
        bucket.hold(42.0)
        bucket.hold(7.0)
        assert bucket.due() == 42.0

    def test_refuses_a_rate_that_never_grants(self) -> None:
        with pytest.raises(ValueError, match="positive"):
            Bucket(0)
