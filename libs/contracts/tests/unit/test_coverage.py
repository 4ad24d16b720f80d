from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.coverage import coverage_of, operational_state, reliability, sources_failed
from contracts.fetch import SliceStatus
from contracts.places import UF
from contracts.samples import gathered, planned, requested
from contracts.state import Freshness, OperationalState, UfStatusKind
from contracts.values import Source

ASKED = planned(requested(UF.SP, UF.RJ, sources=(Source.PNCP,))).asked
HOUR = timedelta(hours=1)


def cover(*facts, over=True, asked=ASKED):
    return coverage_of(
        asked, days=10, gathered={(f.source, f.uf): f for f in facts}, over=over
    )  # fmt: skip


class TestCoverageOf:
    def test_is_complete_when_every_slice_is(self):
        coverage = cover(gathered(UF.SP), gathered(UF.RJ))

        assert (coverage.coverage_pct, coverage.ufs_processed, coverage.ufs_failed) == (100, 2, 0)
        assert coverage.freshness is Freshness.LIVE
        assert coverage.slices_asked == 100
        assert {uf.status for uf in coverage.ufs_status_detail} == {UfStatusKind.COMPLETE}

    @pytest.mark.parametrize(
        ("status", "kind", "pct"),
        [
            (SliceStatus.PARTIAL, UfStatusKind.PARTIAL, 50),
            (SliceStatus.FAILED, UfStatusKind.FAILED, 50),
            (SliceStatus.NEVER, UfStatusKind.FAILED, 50),
        ],
    )
    def test_counts_only_complete_slices(self, status, kind, pct):
        coverage = cover(gathered(UF.SP), gathered(UF.RJ, status=status))

        assert coverage.coverage_pct == pct
        assert {uf.uf: uf.status for uf in coverage.ufs_status_detail}[UF.RJ] is kind

    def test_takes_a_place_that_never_reported_as_failed_once_over(self):
        assert cover(gathered(UF.SP), over=False).ufs_status_detail[0].status is UfStatusKind.PENDING
        assert cover(gathered(UF.SP)).ufs_failed == 1

    def test_says_why_a_uf_is_short(self):
        coverage = cover(gathered(UF.SP), gathered(UF.RJ, status=SliceStatus.PARTIAL))

        assert coverage.ufs_status_detail[0].reasons == ("timeout.modalidade",)

    @pytest.mark.parametrize(("age", "freshness"), [(HOUR, Freshness.CACHED_FRESH), (7 * HOUR, Freshness.CACHED_STALE)])
    def test_is_as_fresh_as_the_oldest_slice_used(self, age, freshness):
        coverage = cover(gathered(UF.SP), gathered(UF.RJ, live=False, age=age))

        assert coverage.freshness is freshness
        assert coverage.method == "mixed"

    def test_calls_a_uf_from_memory_cached(self):
        coverage = cover(gathered(UF.SP, live=False, age=HOUR), gathered(UF.RJ))

        assert [uf.status for uf in coverage.ufs_status_detail] == [UfStatusKind.COMPLETE, UfStatusKind.CACHED]

    @given(st.lists(st.sampled_from(list(SliceStatus)), min_size=2, max_size=2))
    def test_never_leaves_0_to_100_and_sums_up(self, statuses):
        coverage = cover(gathered(UF.SP, status=statuses[0]), gathered(UF.RJ, status=statuses[1]))

        assert 0 <= coverage.coverage_pct <= 100
        assert coverage.ufs_processed + coverage.ufs_failed == coverage.ufs_requested
        assert sum(uf.slices_complete for uf in coverage.ufs_status_detail) == coverage.slices_complete


class TestOperationalState:
    @pytest.mark.parametrize(
        ("facts", "shown", "state"),
        [
            ((gathered(UF.SP), gathered(UF.RJ)), True, OperationalState.OPERATIONAL),
            ((gathered(UF.SP), gathered(UF.RJ, status=SliceStatus.FAILED)), True, OperationalState.PARTIAL),
            ((gathered(UF.SP, live=False, age=9 * HOUR), gathered(UF.RJ)), True, OperationalState.DEGRADED),
            ((gathered(UF.SP, status=SliceStatus.PARTIAL),), True, OperationalState.DEGRADED),
            ((gathered(UF.SP, status=SliceStatus.FAILED),), False, OperationalState.UNAVAILABLE),
            ((), False, OperationalState.UNAVAILABLE),
        ],
    )
    def test_follows_the_table(self, facts, shown, state):
        assert operational_state(cover(*facts), anything_shown=shown) is state


class TestReliability:
    @pytest.mark.parametrize(
        ("facts", "points"),
        [
            ((gathered(UF.SP), gathered(UF.RJ)), 100),
            ((gathered(UF.SP), gathered(UF.RJ, status=SliceStatus.FAILED)), 75),
            ((gathered(UF.SP, live=False, age=HOUR), gathered(UF.RJ)), 50 + 24 + 14),
            ((gathered(UF.SP, live=False, age=9 * HOUR), gathered(UF.RJ, live=False, age=HOUR)), 50 + 12 + 8),
            ((), 0),
        ],
    )
    def test_weighs_coverage_freshness_and_method(self, facts, points):
        assert reliability(cover(*facts)) == points


class TestSourcesFailed:
    def test_names_those_without_one_complete_slice(self):
        asked = planned(requested(UF.SP)).asked
        facts = {
            (Source.PNCP, UF.SP): gathered(UF.SP),
            (Source.PCP, UF.SP): gathered(UF.SP, Source.PCP, status=SliceStatus.FAILED),
        }

        assert sources_failed(asked, facts) == (Source.PCP,)
