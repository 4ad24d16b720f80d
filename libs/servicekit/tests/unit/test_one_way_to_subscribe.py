"""Nothing in the repository subscribes but through the bus and the feed."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[4]
SUBSCRIBING = {"subscribe", "pull_subscribe", "pull_subscribe_bind", "psubscribe_bind", "subscriber", "subscribe_bind"}
BUS_LIBRARIES = {"nats", "faststream"}


def sources() -> Iterator[Path]:
    for folder in ("libs", "services"):
        for package in (ROOT / folder).iterdir():
            if package.name != "servicekit":
                yield from (package / "src").rglob("*.py")


def offences(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SUBSCRIBING:
            found.append(f"{node.lineno}: .{node.func.attr}(")
        elif isinstance(node, ast.Import):
            found += [
                f"{node.lineno}: import {each.name}" for each in node.names if each.name.split(".")[0] in BUS_LIBRARIES
            ]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in BUS_LIBRARIES:
            found.append(f"{node.lineno}: from {node.module}")
    return found


class TestTheRepository:
    def test_is_looked_at(self) -> None:
        assert sum(1 for _ in sources()) > 20

    def test_subscribes_through_servicekit_only(self) -> None:
        assert {str(path.relative_to(ROOT)): found for path in sources() if (found := offences(path.read_text()))} == {}


class TestOffences:
    def test_are_seen(self) -> None:
        text = (
            "import nats.aio\nfrom faststream.nats import NatsBroker\nasync def f(nc):\n    await nc.subscribe('x')\n"
        )
        assert len(offences(text)) == 3

    def test_are_not_seen_where_there_are_none(self) -> None:
        assert offences("from servicekit.bus import Bus\nbus.listen(TOPIC, hear)\n") == []
