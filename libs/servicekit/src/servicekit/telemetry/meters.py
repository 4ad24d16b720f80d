"""Counters, gauges and histograms that cost one comparison while metrics are off, and never grow without bound.

`prometheus_client` is imported when they are switched on. A label takes the values it declares and `other`, nothing
else: whoever counts need not think of cardinality, and a hostile value makes no new series.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import trace

OTHER: Final = "other"
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Label:
    """A dimension of a metric and every value it may have."""

    name: str
    values: frozenset[str]

    def bounded(self, value: object) -> str:
        """The value itself if it is declared, else `other`."""
        text = str(value)
        return text if text in self.values else OTHER


class Meter:
    """One metric by its name; `kind` is what Prometheus calls it."""

    kind = ""

    def __init__(self, name: str, about: str, *labels: Label) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self._family: Any = None
        self._children: dict[tuple[str, ...], Any] = {}

    @property
    def most_series(self) -> int:
        """How many series there can be at most, `other` included."""
        count = 1
        for label in self.labels:
            count *= len(label.values | {OTHER})
        return count

    def switch(self, family: Any) -> None:
        """Record into this family from now on; None records nothing."""
        self._family = family
        self._children = {}

    def make(self, client: Any, registry: Any) -> Any:
        """Its family in a registry of prometheus_client."""
        raise NotImplementedError

    def _child(self, values: dict[str, object]) -> Any:
        key = tuple(label.bounded(values[label.name]) for label in self.labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._family.labels(*key) if key else self._family
        return child


class Counter(Meter):
    """Only grows."""

    kind = "counter"

    def add(self, by: float = 1, **labels: object) -> None:
        """Count; in a sampled trace the sample carries its id."""
        if self._family is not None:
            self._child(labels).inc(by, exemplar=_exemplar())

    def make(self, client: Any, registry: Any) -> Any:
        """As prometheus_client has it."""
        return client.Counter(self.name, self.about, [label.name for label in self.labels], registry=registry)


class Gauge(Meter):
    """Goes up and down."""

    kind = "gauge"

    def __init__(self, name: str, about: str, *labels: Label) -> None:
        super().__init__(name, about, *labels)
        self._followed: dict[tuple[str, ...], Callable[[], float]] = {}

    def set(self, value: float, **labels: object) -> None:
        """What it is now."""
        if self._family is not None:
            self._child(labels).set(value)

    def add(self, by: float = 1, **labels: object) -> None:
        """Up, or down with a negative one."""
        if self._family is not None:
            self._child(labels).inc(by)

    def follow(self, read: Callable[[], float], **labels: object) -> None:
        """Ask this whenever the metrics are asked for, also when they are switched on later; the last asker counts."""
        self._followed[tuple(label.bounded(labels[label.name]) for label in self.labels)] = read
        if self._family is not None:
            self._child(labels).set_function(read)

    def switch(self, family: Any) -> None:
        """Record into this family, what is followed included."""
        super().switch(family)
        if family is not None:
            for key, read in self._followed.items():
                self._child(dict(zip((label.name for label in self.labels), key, strict=True))).set_function(read)

    def make(self, client: Any, registry: Any) -> Any:
        """As prometheus_client has it."""
        return client.Gauge(self.name, self.about, [label.name for label in self.labels], registry=registry)


class Histogram(Meter):
    """How often which size."""

    kind = "histogram"

    def __init__(self, name: str, about: str, *labels: Label, buckets: Sequence[float]) -> None:
        super().__init__(name, about, *labels)
        self.buckets = tuple(buckets)

    @property
    def most_series(self) -> int:
        """Each bucket is a series, and so are sum, count and the last bucket."""
        return super().most_series * (len(self.buckets) + 3)

    def observe(self, value: float, **labels: object) -> None:
        """One measured value; in a sampled trace it carries its id."""
        if self._family is not None:
            self._child(labels).observe(value, exemplar=_exemplar())

    def make(self, client: Any, registry: Any) -> Any:
        """As prometheus_client has it."""
        names = [label.name for label in self.labels]
        return client.Histogram(self.name, self.about, names, registry=registry, buckets=self.buckets)


class Exposition:
    """The registry of this process while metrics are on."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        import prometheus_client  # noqa: PLC0415 - whoever has metrics off does not pay for it

        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self._client = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._registry)
        for meter in meters:
            meter.switch(meter.make(prometheus_client, self._registry))

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Everything that was counted, and its media type; exemplars go only into OpenMetrics, which has them."""
        if "application/openmetrics-text" in accept:
            from prometheus_client.openmetrics.exposition import generate_latest  # noqa: PLC0415 - as above

            return bytes(generate_latest(self._registry)), OPEN_METRICS  # type: ignore[no-untyped-call]  # it has no types
        return self._client.generate_latest(self._registry), TEXT

    def values(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Each sample: its name, its labels, its value."""
        for family in self._registry.collect():
            for sample in family.samples:
                yield sample.name, dict(sample.labels), sample.value


_current: Exposition | None = None


def exposition() -> Exposition | None:
    """What this process counts; None while metrics are off."""
    return _current


@contextmanager
def switched_on(meters: Sequence[Meter]) -> Iterator[Exposition]:
    """Count until this is left. One at a time in a process; a second one inside shares the first's."""
    global _current  # noqa: PLW0603 - metrics are of the process, as its log is
    if _current is not None:
        yield _current
        return
    _current = Exposition(meters)
    try:
        yield _current
    finally:
        _current = None
        for meter in meters:
            meter.switch(None)


def _exemplar() -> dict[str, str] | None:
    context = trace.get_current_span().get_span_context()
    return {"trace_id": trace.format_trace_id(context.trace_id)} if context.trace_flags.sampled else None
