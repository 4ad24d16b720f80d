"""Each service may say and hear on the bus what the contracts' table gives it, and nothing else.

`python deploy/nats/permissions.py` writes users.conf beside it; `check` fails when that file is not current.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.subjects import (
    ANSWERS_BUCKET,
    CONSUMERS,
    CONTROL,
    CONTROLLED,
    DLQ,
    FETCH,
    FILES_BUCKET,
    LEASE,
    OPS,
    SEARCH,
    STREAMS,
    TOPICS,
    Stream,
)

USERS_FILE: Final = Path(__file__).with_name("users.conf")
SERVICES: Final = tuple(sorted({name for topic in TOPICS for name in (*topic.producers, *topic.consumers)}))

# What the table of subjects does not say: who reads the log back, and who keeps content in the Object Store.
FOLLOWS_SEARCH: Final = ("coordinator", "gateway")
"""By one ordered consumer a process."""
BUCKETS: Final = (ANSWERS_BUCKET, FILES_BUCKET)
READS_SEARCH: Final = ("cache", "coordinator", "gateway", "reporter")
"""By direct get."""
READS_LETTERS: Final = ("gateway",)
"""For operators, who may also throw them away."""
WRITES_OBJECTS: Final = {"cache": (ANSWERS_BUCKET,), "coordinator": (ANSWERS_BUCKET,), "reporter": (FILES_BUCKET,)}
READS_OBJECTS: Final = {
    "cache": (ANSWERS_BUCKET,), "gateway": (ANSWERS_BUCKET, FILES_BUCKET), "reporter": (ANSWERS_BUCKET,),
}  # fmt: skip

WATCHES_STREAMS: Final = ("gateway",)
"""How full they are, of every stream and bucket."""

API: Final = "$JS.API"
PROVISION: Final = (
    f"{API}.STREAM.CREATE.*",
    f"{API}.STREAM.UPDATE.*",
    f"{API}.CONSUMER.CREATE.>",
    f"{API}.CONSUMER.DURABLE.CREATE.>",
)


@dataclass(frozen=True)
class User:
    """One user of the bus; its public NKEY is the variable `NATS_NKEY_<NAME>` of the server's environment."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    never_publish: tuple[str, ...] = ()
    answers: bool = False

    @property
    def key_variable(self) -> str:
        """Where the server finds its public key; nobody but the user has the seed."""
        return f"NATS_NKEY_{self.name.upper()}"


def users() -> tuple[User, ...]:
    """Every service, the provisioning job, and the operator, who may do everything."""
    return (
        *(service_user(name) for name in SERVICES),
        User("provision", publish=PROVISION, subscribe=(inbox("provision"),)),
        User("operator", publish=(">",), subscribe=(">",)),
    )


def service_user(name: str) -> User:
    """What the table gives to one service."""
    return User(
        name,
        publish=_ordered(_publishes(name)),
        never_publish=_ordered(_never(name)),
        subscribe=_ordered(_subscribes(name)),
        answers=any(topic.reply is not None and name in topic.consumers for topic in TOPICS),
    )


def _publishes(name: str) -> Iterator[str]:
    yield from (topic.wildcard for topic in TOPICS if name in topic.producers)
    for consumer in CONSUMERS:
        if consumer.service == name:
            place = f"{consumer.stream.name}.{consumer.durable}"
            yield from (f"{API}.CONSUMER.INFO.{place}", f"{API}.CONSUMER.MSG.NEXT.{place}", f"$JS.ACK.{place}.>")
            yield f"dlq.v1.{place}"
            # A dead letter goes back to where it came from, by its consumer's own service.
            yield consumer.filter
            yield f"{API}.DIRECT.GET.{DLQ.name}"
    yield from _direct_gets(CONTROL.name)
    for stream in _settles(name):
        yield f"{API}.STREAM.MSG.GET.{stream.name}"
    if name in READS_SEARCH:
        yield from _direct_gets(SEARCH.name)
    if name in FOLLOWS_SEARCH:
        yield f"{API}.STREAM.INFO.{SEARCH.name}"
        # Without a name in the subject: the server names it, so nobody's durable can be replaced by it.
        yield from (f"{API}.CONSUMER.CREATE.{SEARCH.name}", f"{API}.CONSUMER.DELETE.{SEARCH.name}.*")
        yield f"$JS.FC.{SEARCH.name}.>"
    if name in WATCHES_STREAMS:
        kept = (*(stream.name for stream in STREAMS), *(f"OBJ_{bucket}" for bucket in BUCKETS))
        yield from (f"{API}.STREAM.INFO.{stream}" for stream in kept)
    if name in READS_LETTERS:
        yield from (*_direct_gets(DLQ.name), f"{API}.STREAM.MSG.DELETE.{DLQ.name}")
    for bucket in WRITES_OBJECTS.get(name, ()):
        yield from (f"$O.{bucket}.C.*", f"$O.{bucket}.M.*")
        # A name that is put again looks up and purges its former chunks.
        yield from (f"{API}.STREAM.MSG.GET.OBJ_{bucket}", f"{API}.STREAM.PURGE.OBJ_{bucket}")
        yield from _direct_gets(f"OBJ_{bucket}")
    for bucket in READS_OBJECTS.get(name, ()):
        yield from _direct_gets(f"OBJ_{bucket}")


def _never(name: str) -> Iterator[str]:
    if name in FOLLOWS_SEARCH:
        for consumer in CONSUMERS:
            if consumer.stream is SEARCH:
                yield f"{API}.CONSUMER.DELETE.{SEARCH.name}.{consumer.durable}"


def _settles(name: str) -> Iterator[Stream]:
    """After a refused claim or fenced fact its writer asks the leader who wrote the last message."""
    if name in LEASE.producers:
        yield SEARCH
    if any(topic.stream is FETCH and name in topic.producers for topic in TOPICS):
        yield FETCH
    if name in CONTROLLED.producers:
        yield CONTROL


def _subscribes(name: str) -> Iterator[str]:
    yield inbox(name)
    for topic in TOPICS:
        # OPS is heard live as well as kept; what other streams keep is read by consumers only.
        if name in topic.consumers and (topic.stream is None or topic.stream is OPS):
            yield topic.wildcard


def _direct_gets(stream: str) -> tuple[str, str]:
    return f"{API}.DIRECT.GET.{stream}", f"{API}.DIRECT.GET.{stream}.>"


def inbox(name: str) -> str:
    """Where the replies to one user come: `servicekit.entry` asks for them there."""
    return f"_INBOX.{name}.>"


def _ordered(subjects: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(subjects)))


def configuration() -> str:
    """The part of nats-server's configuration that says who may do what."""
    return "\n".join(
        [
            "# Written by deploy/nats/permissions.py from contracts.subjects: do not edit.",
            "accounts {",
            "  FAROL {",
            "    jetstream: enabled",
            "    users: [",
            *(line for user in users() for line in _lines(user)),
            "    ]",
            "  }",
            "}",
            "",
        ]
    )


def _lines(user: User) -> Iterator[str]:
    yield "      {"
    yield f"        nkey: ${user.key_variable}  # {user.name}"
    yield "        permissions {"
    yield "          publish {"
    yield from _subject_list("allow", user.publish)
    yield from _subject_list("deny", user.never_publish)
    yield "          }"
    yield "          subscribe {"
    yield from _subject_list("allow", user.subscribe)
    yield "          }"
    if user.answers:
        yield '          allow_responses { max: 1, expires: "1m" }'
    yield "        }"
    yield "      }"


def _subject_list(word: str, subjects: tuple[str, ...]) -> Iterator[str]:
    if subjects:
        yield f"            {word}: ["
        yield from (f'              "{subject}"' for subject in subjects)
        yield "            ]"


def main() -> int:
    """Write the file, or with `check` say whether it is current."""
    if sys.argv[1:] == ["check"]:
        current = USERS_FILE.exists() and USERS_FILE.read_text() == configuration()
        if not current:
            print("deploy/nats/users.conf is not current: run python deploy/nats/permissions.py")  # noqa: T201 - a command speaks
        return 0 if current else 1
    USERS_FILE.write_text(configuration())
    return 0


if __name__ == "__main__":
    sys.exit(main())
