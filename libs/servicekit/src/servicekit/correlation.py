"""One id follows a request through every message, log line and response that it causes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

_current: ContextVar[str | None] = ContextVar("correlation_id", default=None)


def correlation_id() -> str | None:
    """The id of the request that is being worked on; None outside of one."""
    return _current.get()


def new_correlation_id() -> str:
    """A fresh id, for a request that came with none."""
    return uuid4().hex


@contextmanager
def correlated(value: str) -> Iterator[None]:
    """Whatever is published or logged inside carries this id."""
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)
