"""The JSON schemas of every message, and the rule that inside v1 they only ever grow.

`python -m contracts.schemas write` brings `schemas/` up to date (after checking it); `check` fails when they are not,
or when a change would break a reader or a writer of yesterday.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.subjects import TOPICS, Topic

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
"""In the checkout; an installed wheel does not carry them."""


def schema_of(topic: Topic[Any]) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of one topic's message, with who sends and who reads it."""
    schema = topic.adapter.json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "x-subject": topic.pattern,
        "x-producers": list(topic.producers),
        "x-consumers": list(topic.consumers),
        **schema,
    }


def breaking_changes(old: Any, new: Any, *, at: str = "#") -> Iterator[str]:
    """What of `old` is gone or narrower in `new`: fields, enum members, types, and fields that became required."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.get("properties", {}).keys() - new.get("properties", {}).keys()):
            yield f"{at}: field {name} is gone"
        for value in old.get("enum", ()):
            if value not in new.get("enum", ()):
                yield f"{at}: value {value!r} is gone"
        if "type" in old and old["type"] != new.get("type", old["type"]):
            yield f"{at}: type was {old['type']}, is {new['type']}"
        for name in sorted(set(new.get("properties", {})) - set(old.get("properties", {}))):
            if "properties" in old and "default" not in new["properties"][name] and name in new.get("required", ()):
                yield f"{at}: new field {name} has no default"
        yield from _lost_defaults(old, new, at=at)
        for kind in _alternatives(old) - _alternatives(new):
            yield f"{at}: alternative {kind} is gone"
        for name in old.keys() & new.keys():
            yield from breaking_changes(old[name], new[name], at=f"{at}/{name}")


def _lost_defaults(old: dict[str, Any], new: dict[str, Any], *, at: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() & after.keys() & set(new.get("required", ()))):
        was_optional = "default" in before[name] or name not in old.get("required", ())
        if was_optional and "default" not in after[name]:
            yield f"{at}: field {name} became required"


def _alternatives(schema: dict[str, Any]) -> set[str]:
    """What a union is of, by type or reference: `X | None` that becomes `X` refuses yesterday's null."""
    kinds = (each for union in ("anyOf", "oneOf") for each in schema.get(union, ()))
    return {str(each.get("$ref") or each.get("const") or each.get("type")) for each in kinds}


def main(verb: str, folder: Path = SCHEMAS) -> int:
    """Write or check the exported schemas; the exit code says whether they hold."""
    problems = []
    for topic in TOPICS:
        path = folder / f"{topic.name}.v1.json"
        schema = schema_of(topic)
        text = json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        if path.exists():
            problems += [f"{path.name} {change}" for change in breaking_changes(json.loads(path.read_text()), schema)]
        if verb == "write" and not problems:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            problems.append(f"{path.name} is not current: run `make schemas`")
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "check"))
