"""How a stored answer is told to whoever asks now."""

from datetime import datetime, timedelta

from contracts.base import Value
from contracts.coverage import operational_state, reliability
from contracts.state import (
    Coverage,
    Degradation,
    Freshness,
    OperationalState,
    ResponseState,
    Status,
    UfStatusKind,
)
from contracts.stored import Age, StoredAnswer, hours


class Shown(Value):
    """A stored answer as it is told to whoever asks now."""

    status: Status
    response_state: ResponseState = ResponseState.CACHED
    degraded: Degradation | None
    coverage: Coverage
    operational_state: OperationalState
    reliability: int


def shown(stored: StoredAnswer, *, now: datetime) -> Shown:
    """The stored answer in the words of the present: nothing of it is live, and an old one is degraded (A02)."""
    stale = stored.age(now) is not Age.FRESH
    coverage = _cached(stored.coverage, stale=stale)
    status = Status.DEGRADED if stale else stored.status
    old = hours(now - stored.finished_at)
    reason = f"Resposta guardada {_ago(now - stored.finished_at)}, com cobertura de {coverage.coverage_pct}%."
    return Shown(
        status=status,
        degraded=Degradation(reason=reason, sources_failed=stored.sources_failed, cache_age_hours=old)
        if status is Status.DEGRADED
        else None,
        coverage=coverage,
        operational_state=operational_state(coverage, anything_shown=stored.counts.fetched > 0),
        reliability=reliability(coverage),
    )


def _ago(age: timedelta) -> str:
    minutes = max(0, round(age.total_seconds() / 60))
    return f"há {minutes} min" if minutes < 60 else f"há {hours(age):.1f} h".replace(".", ",")  # noqa: PLR2004 - an hour


def _cached(coverage: Coverage, *, stale: bool) -> Coverage:
    if coverage.freshness is None:
        return coverage
    already = coverage.freshness is Freshness.CACHED_STALE
    detail = tuple(
        each.model_copy(update={"status": UfStatusKind.CACHED}) if each.status is UfStatusKind.COMPLETE else each
        for each in coverage.ufs_status_detail
    )
    fresh = Freshness.CACHED_STALE if stale or already else Freshness.CACHED_FRESH
    return coverage.model_copy(update={"freshness": fresh, "method": "cached", "ufs_status_detail": detail})
