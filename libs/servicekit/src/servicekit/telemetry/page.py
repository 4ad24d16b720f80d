"""`python -m servicekit.telemetry.page`: the table of metrics as docs/ops/metrics.md shows it."""

from servicekit.telemetry.measures import MEASURES, MOST_SERIES
from servicekit.telemetry.meters import Label

_MANY = 12
"""Label values that a row still spells out."""


def table() -> str:
    """A row per metric."""
    rows = [f"| `{each.name}` | {each.kind} | {_labels(each.labels)} | {each.about} |" for each in MEASURES]
    head = ("| metric | kind | labels | what |", "|---|---|---|---|")
    bound = f"At most {MOST_SERIES} series in a process; a value that a label does not declare is counted as `other`."
    return "\n".join((*head, *rows, "", bound, ""))


def _labels(labels: tuple[Label, ...]) -> str:
    return "; ".join(f"`{label.name}`: {_values(label)}" for label in labels)


def _values(label: Label) -> str:
    values = sorted(label.values)
    return ", ".join(values) if len(values) <= _MANY else f"{', '.join(values[:3])}, …"


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - a command speaks
