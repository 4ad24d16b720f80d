"""The shipped configuration on a real server: what the table gives is allowed, everything else is refused."""

import re
import socket
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from contracts.subjects import CONSUMERS, OPS, SEARCH, STREAMS, TOPICS
from servicekit.provision import BUCKETS

SERVICES = ("cache", "classifier", "coordinator", "fetcher", "gateway", "reporter")
KEPT = (*(stream.name for stream in STREAMS), *(f"OBJ_{bucket}" for bucket in BUCKETS))
Speak = Callable[[str], Any]


def concrete(pattern: str) -> str:
    return re.sub(r"\{[a-z_]+\}|\*", "x", pattern)


def fits(subject: str, pattern: str) -> bool:
    tokens, wanted = subject.split("."), pattern.split(".")
    return len(tokens) == len(wanted) and all(w in {"*", t} for t, w in zip(tokens, wanted, strict=True))


# Everything that anyone could say: each topic, each consumer's and each stream's API, dead letters, the server's own.
SAID: dict[str, set[str]] = {concrete(topic.pattern): set(topic.producers) for topic in TOPICS}
for consumer in CONSUMERS:
    place = f"{consumer.stream.name}.{consumer.durable}"
    for own in (
        f"$JS.API.CONSUMER.INFO.{place}",
        f"$JS.API.CONSUMER.MSG.NEXT.{place}",
        f"$JS.ACK.{place}.1.1.1.1.1",
        f"dlq.v1.{place}",
    ):
        SAID[own] = {consumer.service}
    for nobodys in ("CREATE", "DURABLE.CREATE", "DELETE", "PAUSE"):
        SAID[f"$JS.API.CONSUMER.{nobodys}.{place}"] = set()
for consumer in CONSUMERS:  # a dead letter goes back by its consumer's own service
    for subject, who in SAID.items():
        if fits(subject, consumer.filter):
            who.add(consumer.service)
for name in KEPT:
    for nobodys in (
        "STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE", "STREAM.SNAPSHOT",
        "STREAM.RESTORE", "STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET", "CONSUMER.CREATE", "CONSUMER.LIST",
    ):  # fmt: skip
        SAID[f"$JS.API.{nobodys}.{name}"] = set()
for nobodys in ("$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES", "$SYS.REQ.SERVER.PING", "anything.else"):
    SAID[nobodys] = set()
for reader in ("cache", "coordinator", "gateway", "reporter"):
    SAID["$JS.API.DIRECT.GET.SEARCH"].add(reader)
    if reader in {"cache", "gateway", "reporter"}:
        SAID["$JS.API.DIRECT.GET.OBJ_ANSWERS"].add(reader)
for follower in ("coordinator", "gateway"):
    SAID["$JS.API.STREAM.INFO.SEARCH"].add(follower)
    SAID["$JS.API.CONSUMER.CREATE.SEARCH"].add(follower)
SAID["$JS.API.DIRECT.GET.KV_CONTROL"] = set(SERVICES)
SAID["$JS.API.STREAM.MSG.GET.KV_CONTROL"] = {"gateway"}
for watched in KEPT:
    SAID[f"$JS.API.STREAM.INFO.{watched}"].add("gateway")
SAID["$JS.API.DIRECT.GET.OBJ_FILES"].add("gateway")
SAID["$JS.API.STREAM.MSG.GET.SEARCH"].add("coordinator")
SAID["$JS.API.STREAM.MSG.GET.FETCH"].add("cache")
for bucket, writers in {"ANSWERS": {"cache", "coordinator"}, "FILES": {"reporter"}}.items():
    # A writer reads back what it replaces; putting a name again purges its former chunks.
    for api in ("DIRECT.GET", "STREAM.MSG.GET", "STREAM.PURGE"):
        SAID[f"$JS.API.{api}.OBJ_{bucket}"] |= writers
    for part in ("C", "M"):
        SAID[f"$O.{bucket}.{part}.x"] = writers

SAID["$JS.API.DIRECT.GET.DLQ"] = {*SERVICES}
SAID["$JS.API.STREAM.MSG.DELETE.DLQ"] = {"gateway"}

HEARD: dict[str, set[str]] = {
    topic.wildcard: set(topic.consumers) if topic.stream is None or topic.stream is OPS else set() for topic in TOPICS
}
for everything in (">", "_INBOX", "$JS.>", "$O.>", "$SYS.>", *(stream.subjects[0] for stream in STREAMS)):
    HEARD[everything] = set()
HEARD |= {f"_INBOX.{name}.x": {name} for name in SERVICES} | {"_INBOX.x.y": set(), "_INBOX.>": set()}


class TestPermissions:
    def test_are_those_of_the_table(self, permissions: ModuleType, deploy: Path):
        assert permissions.SERVICES == SERVICES
        current = (deploy / "nats" / "users.conf").read_text() == permissions.configuration()
        assert current, "run python deploy/nats/permissions.py"

    @pytest.mark.parametrize("service", SERVICES)
    def test_let_a_service_say_its_own_subjects_and_no_other(self, service: str, speak: Speak):
        assert len(SAID) > 150
        refused = speak(service).refused(publish=list(SAID))
        assert refused == {subject for subject, who in SAID.items() if service not in who}

    @pytest.mark.parametrize("service", SERVICES)
    def test_let_a_service_hear_its_own_subjects_and_no_other(self, service: str, speak: Speak):
        refused = speak(service).refused(subscribe=list(HEARD))
        assert refused == {subject for subject, who in HEARD.items() if service not in who}

    def test_keep_the_live_feed_from_deleting_the_durable_beside_it(self, speak: Speak):
        durables = [each.durable for each in CONSUMERS if each.stream is SEARCH]
        assert durables
        for service in ("coordinator", "gateway"):
            own = f"$JS.API.CONSUMER.DELETE.{SEARCH.name}.ephemeral"
            others = {f"$JS.API.CONSUMER.DELETE.{SEARCH.name}.{durable}" for durable in durables}
            assert speak(service).refused(publish=[own, *others]) == others

    def test_let_provisioning_make_and_never_destroy(self, speak: Speak):
        said = [f"$JS.API.{api}.SEARCH" for api in ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE")]
        assert speak("provision").refused(publish=[*said, "search.v1.x.completed", "work.cache.gather.v1"]) == {
            *said[2:],
            "search.v1.x.completed",
            "work.cache.gather.v1",
        }

    def test_let_nobody_in_without_a_key(self, one_server: Any):
        with socket.create_connection(("127.0.0.1", one_server.ports[0]), timeout=10) as connection:
            lines = connection.makefile("rb")
            lines.readline()
            connection.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
            assert b"Authorization Violation" in lines.readline()
