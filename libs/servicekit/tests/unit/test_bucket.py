import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.shared.bucket import SPACING, STEP_EVERY, Bucket


def grants(bucket: Bucket, lateness: list[float]) -> list[float]:
    """Take as eagerly as the bucket allows, each timer firing late by so much."""
    now = 100.0
    moments = []
    for late in lateness:
        now = max(now, bucket.due()) + late
        assert bucket.take(now).granted
        moments.append(now)
    return moments


class TestBucket:
    def test_grants_the_first_at_once(self):
        assert Bucket(10).take(0.0).granted

    def test_spaces_grants_evenly(self):
        moments = grants(Bucket(10), [0.0] * 30)
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert min(gaps) == pytest.approx(SPACING / 10)
        assert max(gaps) == pytest.approx(SPACING / 10)

    @given(
        rate=st.integers(1, 50),
        lateness=st.lists(st.floats(0, 0.3) | st.just(0.0) | st.floats(0, 5), min_size=2, max_size=200),
    )
    def test_never_grants_more_than_the_rate_in_any_sliding_second(self, rate, lateness):
        moments = grants(Bucket(rate), lateness)
        for first, beyond in zip(moments, moments[rate:], strict=False):
            assert beyond - first >= 1.0

    @given(
        rate=st.integers(1, 50),
        uses=st.lists(st.tuples(st.floats(0, 0.3), st.floats(0, 0.5) | st.just(0.0)), min_size=2, max_size=100),
    )
    def test_counts_a_grant_that_was_used_late_from_its_use_on(self, rate, uses):
        bucket, now, moments = Bucket(rate), 100.0, []
        for late, used_late in uses:
            now = max(now, bucket.due()) + late
            assert bucket.take(now).granted
            if used_late:
                bucket.used_late(now, now + used_late)
            now += used_late
            moments.append(now)
        for first, beyond in zip(moments, moments[rate:], strict=False):
            assert beyond - first >= 1.0 - 1e-9

    def test_minds_no_use_of_a_grant_that_is_long_over(self):
        bucket = Bucket(10)
        bucket.take(0.0)
        due = bucket.due()
        bucket.used_late(-5.0, 100.0)
        assert bucket.due() == due

    @given(rate=st.integers(1, 50), processes=st.integers(1, 12), phase=st.randoms(use_true_random=False))
    def test_keeps_many_processes_together_below_the_rate(self, rate, processes, phase):
        if processes > rate:
            return
        moments = []
        for _ in range(processes):
            bucket, now = Bucket(rate, processes=processes), phase.choice([0.0, phase.random()])
            for _ in range(20):
                now = max(now, bucket.due())
                assert bucket.take(now).granted
                moments.append(now)
        moments.sort()
        for first, beyond in zip(moments, moments[rate:], strict=False):
            assert beyond - first >= 1.0

    def test_does_not_save_up_while_idle(self):
        bucket = Bucket(10)
        bucket.take(0.0)
        bucket.take(60.0)
        assert bucket.due() - 60.0 == pytest.approx(SPACING / 10)

    def test_makes_good_what_late_timers_cost(self):
        moments = grants(Bucket(50), [0.0, 0.002, 0.01, 0.0, 0.001] * 100)
        assert (len(moments) - 1) / (moments[-1] - moments[0]) > 0.97 * 50
        assert min(later - earlier for earlier, later in itertools.pairwise(moments)) >= 0.01

    def test_says_how_long_to_wait(self):
        bucket = Bucket(10)
        assert bucket.take(0.0).wait == pytest.approx(SPACING / 10)
        early = bucket.take(0.05)
        assert (early.granted, early.wait) == (False, pytest.approx(0.052))

    @pytest.mark.parametrize(("rate", "processes"), [(0, 1), (10, 0)])
    def test_refuses_a_rate_that_never_grants(self, rate, processes):
        with pytest.raises(ValueError, match="positive"):
            Bucket(rate, processes=processes)


class TestLearning:
    def test_is_silent_as_long_as_the_source_asks(self):
        bucket = Bucket(10)
        bucket.refuse(0.0, pause=42.0)
        bucket.refuse(0.5, pause=7.0)
        assert bucket.due() == 42.0

    def test_halves_the_rate_once_for_all_refusals_of_one_silence(self):
        bucket = Bucket(10)
        assert bucket.refuse(0.0, pause=5)
        assert not bucket.refuse(1.0, pause=5)
        assert bucket.rate == 5
        assert bucket.refuse(6.0, pause=5)
        assert bucket.rate == 2.5

    def test_recovers_step_by_step_after_the_silence(self):
        bucket = Bucket(10)
        bucket.refuse(0.0, pause=5)
        seen = []
        for step in range(8):
            bucket.take(5.0 + step * STEP_EVERY)
            seen.append(bucket.rate)
        assert seen == [5, 6, 7, 8, 9, 10, 10, 10]

    @given(refusals=st.lists(st.floats(0, 200), max_size=60))
    def test_keeps_the_rate_between_its_floor_and_what_is_configured(self, refusals):
        bucket, now = Bucket(8), 0.0
        for gap in refusals:
            now += gap
            bucket.refuse(now, pause=1)
            assert 8 / 32 <= bucket.rate <= 8

    def test_spaces_grants_by_what_it_has_learned(self):
        bucket = Bucket(10)
        bucket.refuse(0.0, pause=1)
        assert bucket.take(1.0).granted
        assert bucket.due() == pytest.approx(1 + 0.204)
