"""The table of streams, subjects and consumers. Nothing else in the repository spells a subject."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from contracts import (
    access,
    answers,
    classification,
    control,
    feedback,
    fetch,
    ledger,
    memory,
    ops,
    report,
    search,
    sources,
)
from contracts.stored import Level
from contracts.values import Source

MAX_MESSAGE_BYTES = 256 * 1024
"""The bus refuses more; larger content is split or goes by reference to the Object Store."""

DUPLICATE_WINDOW = timedelta(minutes=15)
"""Longer than a search lives, so that a publish retried with its own id is stored once."""

T = TypeVar("T")


class Retention(StrEnum):
    """When a stream lets a message go."""

    LIMITS = "limits"
    WORKQUEUE = "workqueue"


@dataclass(frozen=True, slots=True)
class Stream:
    """A JetStream stream and its bounds."""

    name: str
    subjects: tuple[str, ...]
    retention: Retention
    max_bytes: int
    purpose: str
    max_age: timedelta | None = None
    discard_new: bool = False
    """True: a full stream refuses (back-pressure); False: it lets its oldest go."""
    one_per_subject: bool = False
    """True: a second message on a subject is refused (error 10077) until the first is acknowledged."""
    duplicate_window: timedelta = DUPLICATE_WINDOW
    kept_per_subject: int | None = None
    """So many of each subject are kept, the newest: the history of a key of a KV bucket."""


MB = 1024 * 1024

SEARCH = Stream(
    "SEARCH", ("search.v1.>",), Retention.LIMITS, 2048 * MB, "the log of every search", max_age=timedelta(hours=72)
)
WORK = Stream("WORK", ("work.>",), Retention.WORKQUEUE, 512 * MB, "commands", discard_new=True)
FETCH = Stream(
    "FETCH", ("fetch.v1.>",), Retention.WORKQUEUE, 64 * MB, "the claim is the task: one fetch of a place at a time",
    discard_new=True, one_per_subject=True,
)  # fmt: skip
PAGES = Stream(
    "PAGES",
    ("pages.v1.>",),
    Retention.WORKQUEUE,
    1024 * MB,
    "pages and ends on their way to the memory",
    discard_new=True,
)
CHANGES = Stream(
    "CHANGES", ("changes.v1.>",), Retention.LIMITS, 256 * MB, "amended and cancelled bids", max_age=timedelta(days=14)
)
OPS = Stream(
    "OPS",
    ("ops.v1.>",),
    Retention.LIMITS,
    64 * MB,
    "breaker transitions, heartbeats, alerts",
    max_age=timedelta(days=7),
)
DLQ = Stream(
    "DLQ", ("dlq.v1.>",), Retention.LIMITS, 256 * MB, "what was given up, with the reason", max_age=timedelta(days=14)
)
CONTROL = Stream(
    "KV_CONTROL", ("$KV.CONTROL.>",), Retention.LIMITS, 8 * MB, "what operators have set: the KV bucket CONTROL",
    kept_per_subject=64,
)  # fmt: skip

STREAMS: tuple[Stream, ...] = (CONTROL, SEARCH, WORK, FETCH, PAGES, CHANGES, OPS, DLQ)

ANSWERS_BUCKET = "ANSWERS"
"""Object Store: finished answers `answers/<search_id>/<revision>/<hash>` and archives."""
FILES_BUCKET = "FILES"
"""Object Store: spreadsheets."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message ready to be published: what a handler yields."""

    topic: "Topic[Any]"
    subject: str
    body: bytes
    msg_id: str | None
    """`Nats-Msg-Id`; None for claims and core messages."""
    value: Any = field(repr=False, compare=False, default=None)
    """The message itself, for tests and logs."""


@dataclass(frozen=True)
class Topic(Generic[T]):
    """A family of subjects that carries one kind of message."""

    name: str
    pattern: str
    """With `{tokens}`; `search.v1.{search_id}.judged.{batch}.{part}`."""
    model: Any
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    stream: Stream | None = None
    """None: core NATS, no storage."""
    reply: Any = None
    """The model of the reply of a request."""

    def subject(self, **tokens: object) -> str:
        """The subject with its tokens filled in."""
        filled = {name: str(token) for name, token in tokens.items()}
        for name, token in filled.items():
            if not _TOKEN.match(token):
                raise ValueError(f"{self.name}: {name}={token!r} is not one subject token")
        return self.pattern.format_map(filled)

    @property
    def wildcard(self) -> str:
        """The pattern as a subscription filter."""
        return re.sub(r"\{[a-z_]+\}", "*", self.pattern)

    @property
    def adapter(self) -> TypeAdapter[T]:
        """What encodes and decodes the model."""
        return _adapter(self.model)

    def decode(self, body: bytes) -> T:
        """The message in these bytes; raises pydantic.ValidationError, which is permanent."""
        return self.adapter.validate_json(body)

    def message(self, body: T, *, dedup: str | None = None, **tokens: object) -> Outgoing:
        """Ready to publish. `dedup` is the natural key and attempt that follow the subject in the `Nats-Msg-Id`.

        Without `dedup` a stored message is known by its subject alone (`<subject>:1`); a message of FETCH and of core
        NATS never has an id.
        """
        subject = self.subject(**tokens)
        has_id = self.stream is not None and not self.stream.one_per_subject
        payload = body.model_dump_json().encode() if isinstance(body, BaseModel) else self.adapter.dump_json(body)
        return Outgoing(
            topic=self, subject=subject, body=payload, msg_id=f"{subject}:{dedup or 1}" if has_id else None, value=body
        )


_TOKEN = re.compile(r"^[^\s.*>]+$")
_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(model: Any) -> TypeAdapter[Any]:
    if model not in _adapters:
        _adapters[model] = TypeAdapter(model)
    return _adapters[model]


def _fact(name: str, model: Any, producers: tuple[str, ...], *, key: str = "") -> Topic[Any]:
    return Topic(
        name=name, pattern=f"search.v1.{{search_id}}.{name}{key}", model=model, producers=producers,
        consumers=("coordinator", "gateway"), stream=SEARCH,
    )  # fmt: skip


REQUESTED: Topic[search.Requested] = _fact("requested", search.Requested, ("gateway", "cache"))
CANCELLED: Topic[search.Cancelled] = _fact("cancelled", search.Cancelled, ("gateway",))
LEASE: Topic[search.Lease] = _fact("lease", search.Lease, ("coordinator",))
PLANNED: Topic[search.Planned] = _fact("planned", search.Planned, ("coordinator",))
GATHERED: Topic[memory.Gathered] = _fact("gathered", memory.Gathered, ("cache",), key=".{source}.{uf}")
JUDGED: Topic[classification.Judged] = _fact("judged", classification.Judged, ("classifier",), key=".{batch}.{part}")
ITEMS_FETCHED: Topic[fetch.ItemsFetched] = _fact("items_fetched", fetch.ItemsFetched, ("fetcher",), key=".{bid_id}")
ARBITRATED: Topic[classification.Arbitrated] = _fact(
    "arbitrated", classification.Arbitrated, ("classifier",), key=".{batch}"
)
PROGRESS_STATE: Topic[search.ProgressState] = Topic(
    name="progress", pattern="search.v1.{search_id}.progress.state", model=search.ProgressState,
    producers=("coordinator",), consumers=("gateway",), stream=SEARCH,
)  # fmt: skip
COMPLETED: Topic[search.Completed] = _fact("completed", search.Completed, ("coordinator",))
SUMMARY_READY: Topic[report.SummaryReady] = _fact(
    "summary_ready", report.SummaryReady, ("reporter",), key=".{revision}"
)
SPREADSHEET_READY: Topic[report.SpreadsheetReady] = _fact(
    "spreadsheet_ready", report.SpreadsheetReady, ("reporter",), key=".{revision}"
)
SPREADSHEET_FAILED: Topic[report.SpreadsheetFailed] = _fact(
    "spreadsheet_failed", report.SpreadsheetFailed, ("reporter",), key=".{revision}"
)
CLOSED: Topic[search.Closed] = _fact("closed", search.Closed, ("coordinator",))

FACTS: tuple[Topic[Any], ...] = (
    REQUESTED, CANCELLED, LEASE, PLANNED, GATHERED, JUDGED, ITEMS_FETCHED, ARBITRATED, PROGRESS_STATE, COMPLETED,
    SUMMARY_READY, SPREADSHEET_READY, SPREADSHEET_FAILED, CLOSED,
)  # fmt: skip

GATHER: Topic[memory.Gather] = Topic(
    "gather", "work.cache.gather.v1", memory.Gather, ("coordinator",), ("cache",), WORK
)
REMEMBER: Topic[memory.Remember] = Topic(
    "remember", "work.cache.remember.v1", memory.Remember, ("coordinator",), ("cache",), WORK
)
ARCHIVE: Topic[memory.Archive] = Topic(
    "archive", "work.cache.archive.v1", memory.Archive, ("coordinator",), ("cache",), WORK
)
ATTEMPTED: Topic[answers.Attempted] = Topic(
    "attempted", "work.cache.attempted.v1", answers.Attempted, ("coordinator",), ("cache",), WORK
)
KEEP_AT_LEVEL: Topic[answers.KeepAtLevel] = Topic(
    "keep_at_level", "work.cache.keep.v1.{level}", answers.KeepAtLevel, ("cache",), ("cache",), WORK
)
JUDGE: Topic[classification.JudgeBids] = Topic(
    "judge", "work.classifier.judge.v1", classification.JudgeBids, ("cache",), ("classifier",), WORK
)
ARBITRATE: Topic[classification.ArbitrateBids] = Topic(
    "arbitrate", "work.classifier.arbitrate.v1", classification.ArbitrateBids, ("coordinator",), ("classifier",), WORK
)
FETCH_ITEMS: Topic[fetch.FetchItems] = Topic(
    "items", "work.fetcher.items.v1.{source}", fetch.FetchItems, ("coordinator",), ("fetcher",), WORK
)
SUMMARIZE: Topic[report.Summarize] = Topic(
    "summarize", "work.reporter.summarize.v1", report.Summarize, ("coordinator",), ("reporter",), WORK
)
SPREADSHEET: Topic[report.MakeSpreadsheet] = Topic(
    "spreadsheet", "work.reporter.spreadsheet.v1", report.MakeSpreadsheet, ("coordinator",), ("reporter",), WORK
)
CLAIM: Topic[fetch.FetchClaim] = Topic(
    "claim", "fetch.v1.{source}.{uf}", fetch.FetchClaim, ("cache",), ("fetcher",), FETCH
)
FETCHED: Topic[fetch.PageFetched | fetch.RangeEnded] = Topic(
    "pages", "pages.v1.{source}", fetch.PagesMessage, ("fetcher",), ("cache",), PAGES
)
FETCHED_LATER: Topic[fetch.PageFetched | fetch.RangeEnded] = Topic(
    "pages_later", "pages.v1.{source}.later", fetch.PagesMessage, ("cache",), ("cache",), PAGES
)
CHANGED: Topic[memory.BidChanged] = Topic(
    "changes", "changes.v1.{source}.{uf}", memory.BidChanged, ("cache",), (), CHANGES
)
KEY_REVOKED: Topic[access.KeyRevoked] = Topic(
    "key_revoked", "ops.v1.key_revoked", access.KeyRevoked, ("gateway",), ("gateway",), OPS
)

BREAKER_CHANGED: Topic[ops.BreakerChanged] = Topic(
    "breaker", "ops.v1.breaker", ops.BreakerChanged, ("fetcher",), ("cache", "gateway"), OPS
)

SERVICES = ("gateway", "coordinator", "cache", "fetcher", "classifier", "reporter")
HEARTBEAT: Topic[ops.Heartbeat] = Topic(
    "heartbeat", "ops.v1.heartbeat.{service}.{worker}", ops.Heartbeat, SERVICES, ("gateway",), OPS
)
ALERT: Topic[ops.Alert] = Topic("alert", "ops.v1.alert.{rule}", ops.Alert, ("gateway",), ("gateway",), OPS)

SOURCE_DRIFTED: Topic[ops.SourceDrifted] = Topic(
    "drift", "ops.v1.drift.{source}", ops.SourceDrifted, ("fetcher",), ("gateway",), OPS
)
SOURCE_SEEN: Topic[sources.SourceSeen] = Topic(
    "source", "sources.v1.{source}", sources.SourceSeen, ("fetcher",), ("gateway",)
)
CONTROLLED: Topic[control.Control] = Topic(
    "control", "$KV.CONTROL.state", control.Control, ("gateway",), SERVICES, CONTROL
)

BELL: Topic[fetch.Bell] = Topic(
    "bell", "ledger.v1.{source}.{uf}", fetch.Bell, ("cache", "fetcher"), ("cache", "fetcher")
)
NEEDED: Topic[fetch.NeededQuery] = Topic(
    "needed", "rpc.cache.needed.v1", fetch.NeededQuery, ("fetcher",), ("cache",), reply=fetch.NeededReply
)
STORED_ANSWER: Topic[answers.AnswerQuery] = Topic(
    "answer", "rpc.cache.answer.v1", answers.AnswerQuery, ("gateway", "coordinator"), ("cache",),
    reply=answers.AnswerReply,
)  # fmt: skip
ARCHIVED: Topic[answers.ArchiveQuery] = Topic(
    "archived", "rpc.cache.archived.v1", answers.ArchiveQuery, ("gateway",), ("cache",), reply=answers.ArchiveReply
)
CACHE_STATE: Topic[answers.CacheQuery] = Topic(
    "cache_state", "rpc.cache.state.v1", answers.CacheQuery, ("gateway",), ("cache",), reply=answers.CacheReply
)
CACHE_ENTRIES: Topic[answers.EntryQuery] = Topic(
    "cache_entries", "rpc.cache.entries.v1", answers.EntryQuery, ("gateway",), ("cache",), reply=answers.EntryReply
)
FORGET: Topic[answers.Forget] = Topic(
    "forget", "rpc.cache.forget.v1", answers.Forget, ("gateway",), ("cache",), reply=answers.ForgetReply
)
TOUCHED: Topic[answers.AnswerTouched] = Topic(
    "touched", "answers.v1.touched", answers.AnswerTouched, ("gateway",), ("cache",)
)
LEDGER: Topic[ledger.LedgerWindow] = Topic(
    "coverage", "rpc.cache.coverage.v1", ledger.LedgerWindow, ("gateway",), ("cache",), reply=ledger.LedgerReply
)
FILL: Topic[ledger.LedgerWindow] = Topic(
    "fill", "rpc.cache.fill.v1", ledger.LedgerWindow, ("gateway",), ("cache",), reply=ledger.FillReply
)
STORED_BID: Topic[memory.BidQuery] = Topic(
    "bid", "rpc.cache.bid.v1", memory.BidQuery, ("gateway",), ("cache",), reply=memory.BidReply
)
DETAILS: Topic[fetch.DetailsQuery] = Topic(
    "details", "rpc.fetcher.details.v1", fetch.DetailsQuery, ("gateway",), ("fetcher",), reply=fetch.DetailsReply
)
FEEDBACK: Topic[feedback.TellFeedback] = Topic(
    "feedback", "rpc.classifier.feedback.v1", feedback.TellFeedback, ("gateway",), ("classifier",),
    reply=feedback.FeedbackReply,
)  # fmt: skip
FEEDBACK_PATTERNS: Topic[feedback.PatternsQuery] = Topic(
    "feedback_patterns", "rpc.classifier.feedback_patterns.v1", feedback.PatternsQuery, ("gateway",), ("classifier",),
    reply=feedback.PatternsReply,
)  # fmt: skip

RETRY: Topic[ops.RetryLetter] = Topic(
    "retry", "rpc.services.retry.v1", ops.RetryLetter, ("gateway",),
    ("cache", "classifier", "coordinator", "fetcher", "gateway", "reporter"), reply=ops.Retried,
)  # fmt: skip

COMMANDS: tuple[Topic[Any], ...] = (
    GATHER, REMEMBER, ARCHIVE, ATTEMPTED, KEEP_AT_LEVEL, JUDGE, ARBITRATE, FETCH_ITEMS, SUMMARIZE, SPREADSHEET, CLAIM,
    FETCHED, FETCHED_LATER,
)  # fmt: skip
CORE: tuple[Topic[Any], ...] = (
    SOURCE_SEEN, BELL, NEEDED, STORED_ANSWER, ARCHIVED, CACHE_STATE, CACHE_ENTRIES, FORGET, TOUCHED, LEDGER, FILL,
    STORED_BID, DETAILS, RETRY, FEEDBACK, FEEDBACK_PATTERNS,
)  # fmt: skip
TOLD: tuple[Topic[Any], ...] = (CHANGED, KEY_REVOKED, BREAKER_CHANGED, SOURCE_DRIFTED, HEARTBEAT, ALERT, CONTROLLED)
TOPICS: tuple[Topic[Any], ...] = (*FACTS, *COMMANDS, *TOLD, *CORE)

_FACT_BY_NAME: Mapping[str, Topic[Any]] = {topic.name: topic for topic in FACTS}


def fact_topic(subject: str) -> Topic[Any] | None:
    """Which fact a subject of SEARCH carries; None for one that this version does not know."""
    tokens = subject.split(".")
    return _FACT_BY_NAME.get(tokens[3]) if len(tokens) > 3 and tokens[:2] == ["search", "v1"] else None  # noqa: PLR2004 - search.v1.<id>.<fact>


def search_id_of(subject: str) -> str:
    """The search that a subject of SEARCH belongs to."""
    return subject.split(".")[2]


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer: one per filter, filters of a work queue never overlap."""

    durable: str
    topic: Topic[Any]
    service: str
    filter: str
    ack_wait: timedelta
    tries: int = 5
    """After so many failed tries the message is dead-lettered; a dependency that is away spends none."""
    max_ack_pending: int = 64
    workers: int = 8
    """Handlers at once in one process."""

    @property
    def stream(self) -> Stream:
        """Where it reads."""
        if self.topic.stream is None:
            raise TypeError(f"{self.durable} reads core NATS")
        return self.topic.stream


def _consumer(topic: Topic[Any], service: str, **more: Any) -> Consumer:
    defaults: dict[str, Any] = {
        "durable": f"{service}-{topic.name}", "filter": topic.wildcard, "ack_wait": timedelta(seconds=5)
    }  # fmt: skip
    return Consumer(topic=topic, service=service, **{**defaults, **more})


SEARCHES_AT_ONCE = 64
"""Searches that one coordinator process holds (DESIGN 4.2)."""
GATHERS_AT_ONCE = 256
"""Gathers that one cache process holds (DESIGN 4.3)."""
CLAIMS_AT_ONCE = 64
"""Claims of one source that one fetcher process holds; it schedules pages inside."""

COORDINATOR_REQUESTED = _consumer(
    REQUESTED, "coordinator", ack_wait=timedelta(seconds=3), max_ack_pending=4096, workers=SEARCHES_AT_ONCE
)
CACHE_GATHER = _consumer(GATHER, "cache", max_ack_pending=4096, workers=GATHERS_AT_ONCE)
CACHE_REMEMBER = _consumer(REMEMBER, "cache")
CACHE_ARCHIVE = _consumer(ARCHIVE, "cache", workers=2)
CACHE_ATTEMPTED = _consumer(ATTEMPTED, "cache", workers=2)
CACHE_KEEP = {
    level: _consumer(
        KEEP_AT_LEVEL, "cache", durable=f"cache-keep-{level}", filter=f"work.cache.keep.v1.{level}", workers=2
    )
    for level in Level
}
CLASSIFIER_JUDGE = _consumer(JUDGE, "classifier", workers=4)
CLASSIFIER_ARBITRATE = _consumer(ARBITRATE, "classifier", workers=4)
GATEWAY_USAGE = _consumer(COMPLETED, "gateway", durable="gateway-usage", workers=1)
GATEWAY_BREAKER = _consumer(BREAKER_CHANGED, "gateway", workers=1)
REPORTER_SUMMARIZE = _consumer(SUMMARIZE, "reporter", tries=3, workers=10)
REPORTER_SPREADSHEET = _consumer(SPREADSHEET, "reporter", tries=3, workers=10)
FETCHER_CLAIMS = {
    source: _consumer(
        CLAIM, "fetcher", durable=f"fetcher-claim-{source}", filter=f"fetch.v1.{source}.*",
        max_ack_pending=4096, workers=CLAIMS_AT_ONCE,
    )
    for source in Source
}  # fmt: skip
FETCHER_ITEMS = {
    source: _consumer(
        FETCH_ITEMS, "fetcher", durable=f"fetcher-items-{source}", filter=f"work.fetcher.items.v1.{source}"
    )
    for source in Source
}
CACHE_PAGES = {
    source: _consumer(FETCHED, "cache", durable=f"cache-pages-{source}", filter=f"pages.v1.{source}", workers=8)
    for source in Source
}
CACHE_PAGES_LATER = {
    source: _consumer(
        FETCHED_LATER, "cache", durable=f"cache-pages-later-{source}", filter=f"pages.v1.{source}.later", workers=4
    )
    for source in Source
}

CONSUMERS: tuple[Consumer, ...] = (
    COORDINATOR_REQUESTED, CACHE_GATHER, CACHE_REMEMBER, CACHE_ARCHIVE, CACHE_ATTEMPTED, *CACHE_KEEP.values(),
    CLASSIFIER_JUDGE, CLASSIFIER_ARBITRATE, GATEWAY_BREAKER, GATEWAY_USAGE, REPORTER_SUMMARIZE, REPORTER_SPREADSHEET,
    *FETCHER_CLAIMS.values(), *FETCHER_ITEMS.values(), *CACHE_PAGES.values(),
    *CACHE_PAGES_LATER.values(),
)  # fmt: skip
