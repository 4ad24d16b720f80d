"""Every metric of Farol: its name, what it counts, and which values its labels may have (docs/ops/metrics.md).

The first ones are named by REQUIREMENTS E03; ours begin with `farol_`.
"""

from typing import Final

from contracts.classification import RejectReason
from contracts.state import Status
from contracts.subjects import CONSUMERS, SERVICES, STREAMS, TOPICS
from contracts.values import Source
from contracts.verdict import RelevanceSource
from servicekit.telemetry.meters import Counter, Gauge, Histogram, Label, Meter

ROUTES: Final = (
    "/v1/searches", "/v1/searches/{search_id}", "/v1/searches/{search_id}/results", "/v1/searches/{search_id}/events",
    "/v1/searches/{search_id}/summary", "/v1/searches/{search_id}/spreadsheet", "/v1/searches/{search_id}/results.csv",
    "/v1/searches/{search_id}/results.jsonl", "/v1/searches/{search_id}/results/{bid_id}/explanation",
    "/v1/bids/{bid_id}", "/v1/coverage", "/v1/sectors", "/v1/vocabulary", "/v1/saved-searches", "/v1/triage",
    "/v1/feedback", "/v1/health", "/v1/admin", "/metrics", "/static", "page",
)  # fmt: skip
"""What a request is counted under; anything else, as every address that does not exist, is `other`."""

_SOURCE = Label("source", frozenset(Source))
_SERVICE = Label("service", frozenset(SERVICES))
_CONSUMER = Label("consumer", frozenset(consumer.durable for consumer in CONSUMERS))
_STREAM = Label("stream", frozenset(stream.name for stream in STREAMS) | {"OBJ_ANSWERS", "OBJ_FILES"})
_STATUS = Label("status", frozenset(status for status in Status if status.terminal))
_HANDLED = Label("outcome", frozenset({"done", "retried", "dead_lettered", "handed_over", "abandoned"}))
_CALLED = Label(
    "outcome",
    frozenset({"ok", "timeout", "client_4xx", "limited_429", "server_5xx", "network", "breaker", "paused", "cut"}),
)
_LLM = Label("outcome", frozenset({"ok", "timeout", "rate_limited", "away", "shape", "budget", "breaker", "cut"}))
_DECISION = Label("decision", frozenset({"accepted", "rejected", "uncertain"}))
_REASON = Label("reason", frozenset(RejectReason) | frozenset(RelevanceSource))
_LEVEL = Label("level", frozenset({"ledger", "memory", "database", "local"}))
_JOB = Label(
    "job",
    frozenset({"upkeep", "ingest", "ledger_age", "telling", "canary", "heartbeat", "watch", "snapshot", "levers"}),
)
_ROUTE = Label("route", frozenset(ROUTES))
_METHOD = Label("method", frozenset({"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"}))
_CLASS = Label("status", frozenset({"1xx", "2xx", "3xx", "4xx", "5xx"}))

_FAILURES: Final = frozenset({
    *(f"http.{status}" for status in (400, 401, 403, 404, 408, 422, 429, 500, 502, 503, 504)), "http.422.spurious",
    "net.connect", "net.broken", "body.empty", "body.html", "body.broken", "body.hollow", "body.too_large",
    "timeout.http", "timeout.modalidade", "timeout.uf", "timeout.source", "timeout.claim", "timeout.items",
    "breaker.open", "source.paused", "range.not_askable", "bid.not_askable",
})  # fmt: skip
"""What a request may bring in place of an answer."""
_RULE = Label(
    "rule",
    frozenset({
        *(f"failed.{code}" for code in _FAILURES),
        *(f"again.{code}" for code in _FAILURES), "again.claim",
        "given_up.no_time", "given_up.breaker", "given_up.budget",
        "list.read_again", "page.empty", "totals.changed", "record.repeated", "record.unreadable",
        "drift.shape", "drift.page_size", "drift.volume", "canary.ok", "canary.failed",
    }),
)  # fmt: skip

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALLS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
_WORK: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 480.0)
_SEARCH: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 180.0, 300.0, 360.0)

SEARCH_SECONDS = Histogram(
    "search_duration_seconds", "From the request to its terminal fact.", _STATUS, buckets=_SEARCH
)
FETCH_SECONDS = Histogram(
    "fetch_duration_seconds", "One request to a source, queueing for its rate excluded.", _SOURCE, _CALLED,
    buckets=_CALLS,
)  # fmt: skip
LLM_SECONDS = Histogram("llm_call_duration_seconds", "One call of the language model.", _LLM, buckets=_CALLS)
CACHE_HITS = Counter(
    "cache_hits_total", "Served from the memory: slices at level `ledger`, answers at the cascade's levels.", _LEVEL
)
CACHE_MISSES = Counter("cache_misses_total", "Had to be fetched, or was at none of the levels.", _LEVEL)
API_ERRORS = Counter(
    "api_errors_total", "Requests to a source that brought nothing, by what went wrong.", _SOURCE, _CALLED
)
FILTER_DECISIONS = Counter(
    "filter_decisions_total", "Verdicts on bids, by what decided: a reason of rejection or a source of relevance.",
    _DECISION, _REASON,
)  # fmt: skip
LLM_CALLS = Counter(
    "llm_calls_total", "Calls of the language model, also those that a bound kept from being made.", _LLM
)
SEARCHES = Counter("searches_total", "Searches that ended, by their terminal status.", _STATUS)
BREAKER_DEGRADED = Gauge("circuit_breaker_degraded", "1 while the circuit of a whole source is not closed.", _SOURCE)
ACTIVE_SEARCHES = Gauge("active_searches", "Searches that a coordinator holds before their terminal fact.")

FIRST_RESULT_SECONDS = Histogram(
    "farol_first_result_seconds", "From the request to the first accepted bid of a search.", buckets=_SEARCH
)
COVERAGE_PCT = Histogram(
    "farol_search_coverage_pct", "Coverage of the searches that ended, in per cent.",
    buckets=(0, 25, 50, 70, 90, 99, 100),
)  # fmt: skip
LLM_TOKENS = Counter(
    "farol_llm_tokens_total", "Tokens of the language model.", Label("kind", frozenset({"asked", "answered"}))
)
LLM_USD = Counter("farol_llm_usd_total", "What the language model has cost, in US dollars.")

HANDLED = Counter("farol_bus_messages_total", "Messages handled, by how it ended.", _CONSUMER, _HANDLED)
HANDLE_SECONDS = Histogram(
    "farol_bus_handle_seconds", "A message's handler, from its taking to its outcome.", _CONSUMER, buckets=_WORK
)
RUNNING = Gauge("farol_bus_running", "Messages in work now.", _CONSUMER)
REDELIVERIES = Counter("farol_bus_redeliveries_total", "Deliveries that were not a message's first.", _CONSUMER)
DEAD_LETTERS = Counter("farol_bus_dead_letters_total", "Messages given up.", _CONSUMER)
PAUSED = Gauge("farol_bus_paused", "1 while a consumer waits for a dependency that is away, or is drained.", _CONSUMER)
PUBLISHED = Counter(
    "farol_bus_published_total", "Messages published into a stream, by topic.",
    Label("topic", frozenset(topic.name for topic in TOPICS if topic.stream)),
    Label("outcome", frozenset({"stored", "duplicate", "in_flight", "fenced", "failed"})),
)  # fmt: skip
PUBLISH_SECONDS = Histogram("farol_bus_publish_seconds", "Until the stream has acknowledged.", buckets=_QUICK)
CONNECTED = Gauge("farol_bus_connected", "1 while this service is connected to the bus.", _SERVICE)
RECONNECTS = Counter("farol_bus_reconnects_total", "Connections to the bus made anew.", _SERVICE)
QUEUE_PENDING = Gauge("farol_queue_pending", "Messages that wait for a consumer: its lag.", _CONSUMER)
QUEUE_IN_WORK = Gauge("farol_queue_ack_pending", "Messages delivered and not yet acknowledged.", _CONSUMER)
QUEUE_REDELIVERED = Gauge(
    "farol_queue_redelivered", "Messages among those whose delivery was not the first.", _CONSUMER
)
QUEUE_MISSING = Gauge("farol_queue_missing", "1 when a consumer that should be there is not.", _CONSUMER)
STREAM_FILL = Gauge("farol_stream_fill_ratio", "Bytes of a stream over the bytes that it may have.", _STREAM)
STREAM_MESSAGES = Gauge("farol_stream_messages", "Messages in a stream; of DLQ: the dead letters that wait.", _STREAM)

PAGES_FETCHED = Counter("farol_pages_fetched_total", "Pages that a source has answered.", _SOURCE)
RECORDS_FETCHED = Counter("farol_records_fetched_total", "Records on those pages.", _SOURCE)
RETRIES = Counter("farol_fetch_retries_total", "Requests to a source that were made again.", _SOURCE)
SOURCE_RULES = Counter(
    "farol_source_rules_total", "How often a rule for a source's misbehaviour had something to do.", _SOURCE, _RULE
)
SOURCE_WAITING = Gauge("farol_source_waiting", "Requests that wait for their turn at a source.", _SOURCE)
SOURCE_RATE = Gauge(
    "farol_source_rate", "Requests a second that a source is asked at present, of all processes.", _SOURCE
)
SOURCE_PAUSED = Gauge("farol_source_paused", "1 while an operator has paused a source.", _SOURCE)
CIRCUIT_CHANGES = Counter(
    "farol_circuit_transitions_total", "Transitions of circuits: of the source, its UFs, its items.",
    _SOURCE, Label("scope", frozenset({"source", "uf", "items"})),
    Label("after", frozenset({"closed", "open", "half_open"})),
)  # fmt: skip
CIRCUITS_OPEN = Gauge("farol_circuits_open", "UFs of a source whose circuit is not closed.", _SOURCE)
LEDGER_AGE = Gauge("farol_ledger_age_seconds", "Since the newest slice of a source was read to its end.", _SOURCE)

HTTP_REQUESTS = Counter("farol_http_requests_total", "Requests to the API and the page.", _ROUTE, _METHOD, _CLASS)
HTTP_SECONDS = Histogram(
    "farol_http_request_seconds", "Until the head of the response was sent.", _ROUTE, buckets=_QUICK
)
SSE_CLIENTS = Gauge("farol_sse_clients", "Event streams open now.")
JOB_RUNS = Counter(
    "farol_job_runs_total", "Turns of periodic jobs.", _JOB, Label("outcome", frozenset({"ok", "waits", "failed"}))
)
JOB_SUCCESS = Gauge("farol_job_last_success_timestamp_seconds", "When a periodic job last succeeded, Unix time.", _JOB)
LOOP_LAG = Gauge("farol_loop_lag_seconds", "The longest that the event loop was late since the last look.")
ALERTS = Gauge(
    "farol_watcher_firing", "1 while the in-system watcher's rule fires.",
    Label("rule", frozenset({
        "bus_away", "queue_flooded", "worker_silent", "job_late", "source_open", "source_drifted", "queue_backed_up",
        "queue_missing", "stream_full", "dead_letters", "errors", "worker_unready", "searches_failing",
    })),
)  # fmt: skip

MEASURES: Final[tuple[Meter, ...]] = tuple(each for each in list(globals().values()) if isinstance(each, Meter))
"""In the order of this page."""
MOST_SERIES: Final = 4000
"""Of one process, whatever happens; a test adds them up."""
