"""What a tenant's day still allows."""

from contracts.search import Requested
from contracts.when import day_of
from gateway.domain.problem import Problem
from gateway.domain.usage import seconds_to_midnight
from gateway.routes.ports import Desk
from servicekit.errors import DependencyAway
from servicekit.logs import log


async def within_caps(asked: Requested, desk: Desk) -> Requested:
    """The search as its tenant's day still allows it; while what was used cannot be read, as if nothing had been."""
    if desk.usage is None or not desk.caps.any:
        return asked
    tenant, now = asked.tenant, asked.created_at
    try:
        used = await desk.usage.of_day(tenant, day_of(now))
    except DependencyAway as exc:
        log.debug("usage_away", why=exc.code)
        return asked
    if desk.caps.refuses(used, running=desk.traffic.running(tenant, now=now)):
        raise Problem("usage.day_spent", headers={"Retry-After": str(seconds_to_midnight(now))})
    return asked if desk.caps.llm_left(used) else asked.model_copy(update={"llm": False})
