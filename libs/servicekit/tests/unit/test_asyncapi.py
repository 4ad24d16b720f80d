"""The generated document holds together."""

import json
import re

from contracts.subjects import CONSUMERS, TOPICS
from servicekit.asyncapi import document


class TestDocument:
    def test_has_a_channel_for_each_topic(self) -> None:
        channels = document()["channels"]
        assert {topic.name: topic.pattern for topic in TOPICS} == {
            topic.name: channels[topic.name]["address"] for topic in TOPICS
        }

    def test_names_each_durable_consumer(self) -> None:
        channels = document()["channels"].values()
        named = [durable for channel in channels for durable in channel.get("x-durable-consumers", [])]
        assert sorted(named) == sorted(consumer.durable for consumer in CONSUMERS)

    def test_points_nowhere_in_vain(self) -> None:
        made = document()
        for path in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(made)):
            found = made
            for part in path.split("/"):
                found = found[part]
