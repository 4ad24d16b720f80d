"""What an exception of a handler comes down to, when to try again, and how it is told."""

from collections.abc import Iterator
from datetime import timedelta

from pydantic import ValidationError

from servicekit.backoff import backoff, spread
from servicekit.errors import Abandoned, DependencyAway, Rejected, Transient


def leading(error: BaseException | None) -> BaseException | None:
    """What an exception group of a handler's own tasks comes down to: bugs first, then what is final."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = list(_leaves(error))
    known: tuple[type[BaseException], ...] = (Abandoned, Rejected, ValidationError, Transient)
    strangers = [leaf for leaf in leaves if not isinstance(leaf, known)]
    for kind in (Abandoned, Rejected, ValidationError, DependencyAway, Transient):
        if strangers and kind is not Abandoned:
            return strangers[0]
        if found := next((leaf for leaf in leaves if isinstance(leaf, kind)), None):
            return found
    return strangers[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _leaves(inner)
        else:
            yield inner


def retry_delay(wanted: timedelta | None, failures: int) -> float:
    """Seconds: what was asked for and a little more, else exponential."""
    return wanted.total_seconds() * (2 - spread(0.9)) if wanted is not None else backoff(failures)


def first_faults(error: ValidationError) -> str:
    """Where and what, without the values: they may be personal."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return f"{error.title}: " + "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults[:5]
    )


def one_line(text: str) -> str:
    """Headers are lines of printable ASCII."""
    return " ".join(text.split()).encode("ascii", "replace").decode()[:500]
