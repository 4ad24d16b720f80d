"""What is told of a stored answer (A01, A02, A05, C03): a table, and the law of its arithmetic."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.coverage import coverage_of
from contracts.fetch import SliceStatus
from contracts.places import UF
from contracts.samples import NOW, gathered, planned, requested, stored_answer
from contracts.showing import shown
from contracts.state import Freshness, OperationalState, ResponseState, Status, UfStatusKind
from contracts.values import Source

ASKED = planned(requested(UF.SP, UF.RJ, UF.MG, sources=(Source.PNCP,))).asked
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KINDS = {
    "ok": SliceStatus.COMPLETE, "part": SliceStatus.PARTIAL, "gone": SliceStatus.FAILED, "none": SliceStatus.NEVER,
}  # fmt: skip


def of(*kinds, found=3):
    """A stored answer of as many UFs, each gathered as its word says."""
    facts = [gathered(uf, status=KINDS[kind]) for uf, kind in zip((UF.SP, UF.RJ, UF.MG), kinds, strict=False)]
    coverage = coverage_of(ASKED, days=10, gathered={(f.source, f.uf): f for f in facts}, over=True)
    stored = stored_answer(total=found)
    status = Status.COMPLETED if coverage.coverage_pct == 100 else Status.DEGRADED
    return stored.model_copy(update={"coverage": coverage, "status": status})


FRESH, STALE = Freshness.CACHED_FRESH, Freshness.CACHED_STALE
OK, PART, LOW, RED = (
    OperationalState.OPERATIONAL, OperationalState.PARTIAL, OperationalState.DEGRADED, OperationalState.UNAVAILABLE,
)  # fmt: skip


class TestShown:
    @pytest.mark.parametrize(
        ("kinds", "age", "status", "state", "freshness", "reliability"),
        [
            (("ok", "ok", "ok"), MINUTE, "completed", OK, FRESH, 82),
            (("ok", "ok", "ok"), 6 * HOUR, "completed", OK, FRESH, 82),
            (("ok", "ok", "ok"), 6 * HOUR + MINUTE, "degraded", LOW, STALE, 70),
            (("ok", "ok", "ok"), 24 * HOUR, "degraded", LOW, STALE, 70),
            (("ok", "ok", "part"), MINUTE, "degraded", PART, FRESH, 65),
            (("ok", "ok", "gone"), MINUTE, "degraded", PART, FRESH, 65),
            (("ok", "ok", "gone"), 7 * HOUR, "degraded", LOW, STALE, 53),
            (("ok", "gone", "gone"), MINUTE, "degraded", LOW, FRESH, 48),
            (("part", "gone", "none"), MINUTE, "degraded", LOW, FRESH, 32),
        ],
    )
    def test_follows_the_table(self, kinds, age, status, state, freshness, reliability):
        told = shown(of(*kinds), now=NOW + age)

        assert (told.response_state, told.status) == (ResponseState.CACHED, Status(status))
        assert (told.operational_state, told.coverage.freshness, told.reliability) == (state, freshness, reliability)

    def test_is_red_only_with_nothing_at_all(self):
        assert shown(of("gone", "gone", "gone", found=0), now=NOW).operational_state is RED
        assert shown(of("gone", "gone", "gone", found=2), now=NOW).operational_state is LOW

    @pytest.mark.parametrize(
        ("kind", "as_told"),
        [("ok", UfStatusKind.CACHED), ("part", UfStatusKind.PARTIAL), ("gone", UfStatusKind.FAILED)],
    )
    def test_calls_no_uf_live(self, kind, as_told):
        [mg] = [uf for uf in shown(of("ok", "ok", kind), now=NOW).coverage.ufs_status_detail if uf.uf is UF.MG]

        assert mg.status is as_told

    @pytest.mark.parametrize(
        ("age", "hours", "words"), [(20 * MINUTE, 0.3, "há 20 min"), (7 * HOUR + 30 * MINUTE, 7.5, "há 7,5 h")]
    )
    def test_says_how_old_it_is_where_it_is_degraded(self, age, hours, words):
        told = shown(of("ok", "ok", "gone"), now=NOW + age)

        assert told.degraded.cache_age_hours == hours
        assert words in told.degraded.reason
        assert "66%" in told.degraded.reason

    @given(
        st.lists(st.sampled_from(sorted(KINDS)), min_size=3, max_size=3),
        st.timedeltas(timedelta(), timedelta(hours=24)),
    )
    def test_sums_up_whatever_was_looked_at(self, kinds, age):
        stored = of(*kinds)
        told = shown(stored, now=NOW + age)
        detail = told.coverage.ufs_status_detail

        assert told.coverage.coverage_pct == stored.coverage.coverage_pct, "age loses no slice"
        assert sum(uf.slices_asked for uf in detail) == told.coverage.slices_asked
        assert sum(uf.slices_complete for uf in detail) == told.coverage.slices_complete
        missing = sum(uf.slices_asked - uf.slices_complete for uf in detail)
        assert told.coverage.slices_complete + missing == told.coverage.slices_asked, (
            "what is there and what is not: 100 %"
        )
        assert told.coverage.ufs_processed + told.coverage.ufs_failed == told.coverage.ufs_requested == len(detail)
        assert 0 <= told.reliability <= 82, "nothing stored is as good as live"
        assert (told.status is Status.DEGRADED) == (told.degraded is not None)
