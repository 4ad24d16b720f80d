"""AsyncAPI 3.0 of everything on the bus, made from the contracts' table."""

import json
import re
import sys
from typing import Any, Final

from contracts.subjects import CONSUMERS, STREAMS, TOPICS, Topic

REFERENCES: Final = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """Channels are topics; each service sends what it produces and receives what it consumes."""
    schemas: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in TOPICS:
        _add_message(messages, schemas, topic.name, topic.adapter.json_schema(ref_template=REFERENCES))
        channels[topic.name] = _channel(topic)
        for service in topic.producers:
            operations[f"{service}.send.{topic.name}"] = _operation("send", topic, service)
        for service in topic.consumers:
            operations[f"{service}.receive.{topic.name}"] = _operation("receive", topic, service)
        if topic.reply is not None:
            name = f"{topic.name}_reply"
            _add_message(messages, schemas, name, topic.reply.model_json_schema(ref_template=REFERENCES))
            channels[name] = {"address": None, "messages": {name: {"$ref": f"#/components/messages/{name}"}}}
            for service in topic.producers:
                operations[f"{service}.send.{topic.name}"]["reply"] = {"channel": {"$ref": f"#/channels/{name}"}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Farol",
            "version": "1",
            "description": "Every message between Farol's services. Delivery is at least once; facts carry their key.",
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(topic: Topic[Any]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": topic.pattern,
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
        "x-stream": topic.stream.name if topic.stream else None,
        "x-durable-consumers": [each.durable for each in CONSUMERS if each.topic is topic],
    }
    if topic.stream is not None:
        channel["description"] = next(each.purpose for each in STREAMS if each.name == topic.stream.name)
    if tokens := re.findall(r"\{([a-z_]+)\}", topic.pattern):
        channel["parameters"] = {token: {"description": f"One subject token: {token}."} for token in tokens}
    return channel


def _operation(action: str, topic: Topic[Any], service: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic.name}"}, "tags": [{"name": service}]}


def _add_message(messages: dict[str, Any], schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    schemas.update(schema.pop("$defs", {}))
    title = schema.get("title", name)
    schemas[title] = schema
    messages[name] = {
        "name": name,
        "title": title,
        "description": schema.get("description", ""),
        "contentType": "application/json",
        "payload": {"$ref": REFERENCES.format(model=title)},
    }


def main() -> None:
    """`python -m servicekit.asyncapi` prints the document."""
    json.dump(document(), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
