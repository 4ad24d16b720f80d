import json
from pathlib import Path

import pytest

from contracts.schemas import SCHEMAS, breaking_changes, main, schema_of
from contracts.subjects import TOPICS

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*/*.json"))


class TestSchemas:
    def test_are_current(self):
        assert main("check", SCHEMAS) == 0

    @pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
    def test_say_what_each_message_is(self, topic):
        schema = schema_of(topic)

        assert schema.get("description") or schema.get("oneOf")

    def test_refuse_a_change_that_breaks_somebody(self):
        old = {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"], "enum": ["x"]}
        new = {"properties": {"a": {"type": "integer"}, "c": {"type": "string"}}, "required": ["a", "c"], "enum": []}
        said = "\n".join(breaking_changes(old, new))

        assert "field b is gone" in said
        assert "new field c has no default" in said
        assert "type was string" in said
        assert "value 'x' is gone" in said

    @pytest.mark.parametrize(
        ("was", "required"),
        [({"type": "string", "default": ""}, ["a"]), ({"type": "string"}, [])],
        ids=["default", "optional"],
    )
    def test_refuse_a_field_that_becomes_required(self, was, required):
        old = {"properties": {"a": was}, "required": required}
        new = {"properties": {"a": {"type": "string"}}, "required": ["a"]}

        assert list(breaking_changes(old, new)) == ["#: field a became required"]

    def test_refuse_to_take_an_alternative_away(self):
        old = {"properties": {"a": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}}
        new = {"properties": {"a": {"anyOf": [{"$ref": "#/$defs/A"}]}}}

        assert list(breaking_changes(old, new)) == ["#/properties/a: alternative null is gone"]
        assert not list(breaking_changes(new, old))

    def test_allow_a_new_field_with_a_default(self):
        old = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
        new = {"properties": {"a": {"type": "string"}, "c": {"type": "string", "default": ""}}, "required": ["a", "c"]}

        assert not list(breaking_changes(old, new))


class TestExamples:
    def test_exist_for_every_topic(self):
        assert {path.parent.name for path in FILES} == {f"{topic.name}.v1" for topic in TOPICS}

    @pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
    def test_decode_for_ever_and_lose_nothing(self, path):
        topic = next(topic for topic in TOPICS if f"{topic.name}.v1" == path.parent.name)
        example = json.loads(path.read_text())
        again = json.loads(topic.adapter.dump_json(topic.decode(path.read_bytes())))

        assert _holds(again, example)


def _holds(whole, part):
    """Every field of the example is still there with its value; fields added since may be more."""
    if isinstance(part, dict):
        return all(name in whole and _holds(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(_holds(a, b) for a, b in zip(whole, part, strict=True))
    return whole == part
