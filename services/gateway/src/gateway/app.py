"""Settings to parts to a service: what serves HTTP and what it stands on."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

from contracts.ops import BreakerChanged, Heartbeat, SourceDrifted
from contracts.search import Completed
from contracts.sources import SourceSeen
from contracts.subjects import (
    ALERT,
    BREAKER_CHANGED,
    COMPLETED,
    GATEWAY_BREAKER,
    GATEWAY_USAGE,
    HEARTBEAT,
    KEY_REVOKED,
    SOURCE_DRIFTED,
    SOURCE_SEEN,
    Outgoing,
    fact_topic,
)
from gateway import page
from gateway.adapters.cockpit import Cockpit
from gateway.adapters.keyring import Keyring, secret_in
from gateway.adapters.memory import StoredAnswers
from gateway.adapters.on_demand import OnDemand
from gateway.adapters.searches import Searches
from gateway.adapters.server import HttpServer
from gateway.adapters.sql.audits import SqlAudit
from gateway.adapters.sql.circuits import SqlCircuits
from gateway.adapters.sql.keys import SqlKeys
from gateway.adapters.sql.promises import SqlPromises
from gateway.adapters.sql.schema import SCHEMA
from gateway.adapters.sql.shelf import SqlShelf
from gateway.adapters.sql.snapshots import EVERY, SqlSnapshots
from gateway.adapters.sql.usages import SqlUsage
from gateway.adapters.stream import StreamRules
from gateway.adapters.watcher import LOOK, Watcher
from gateway.adapters.webhook import Webhook
from gateway.domain.board import Board
from gateway.domain.circuits import Seen
from gateway.domain.keys import LocalKey
from gateway.domain.signing import Signer
from gateway.domain.traffic import Quota, Traffic
from gateway.domain.usage import Caps
from gateway.http import create_http
from gateway.routes import metrics
from gateway.routes.ports import Desk
from gateway.settings import GatewaySettings
from servicekit.answer_files import AnswerFiles
from servicekit.bus import Bus, Delivery
from servicekit.chain import TimeoutChain
from servicekit.clock import utc_now
from servicekit.every import Every
from servicekit.feed import SearchFeed
from servicekit.health import disk
from servicekit.levers import Levers
from servicekit.service import Service
from servicekit.settings import TelemetrySettings
from servicekit.shared.answers import Rules, SharedAnswers
from servicekit.sql.database import Database
from servicekit.telemetry.measures import SSE_CLIENTS

PRUNE = timedelta(hours=1)


def build(settings: GatewaySettings | None = None) -> Service:
    """The gateway: the bus, one feed, the watches, the listening socket; left in the reverse order."""
    settings = settings or GatewaySettings()
    bus = Bus(url=settings.nats_url, service="gateway")
    traffic = Traffic(most_running=settings.running_searches, longest_wait=settings.longest_wait)
    database = Database.of(SCHEMA, settings.database_url, settings.data_dir)
    key = LocalKey(settings.api_key.get_secret_value())
    secret = _secret(settings)
    keys = Keyring(local=key, store=SqlKeys(database), secret=secret, herald=bus, clock=utc_now)
    sheets = OnDemand()
    bus.listen(KEY_REVOKED, keys.heard)
    board = Board(utc_now())
    history = SqlSnapshots(database)
    watcher = Watcher(board, bus=bus, teller=Webhook(settings.slack_webhook_url), snapshots=history, clock=utc_now)

    async def beat(heartbeat: Heartbeat) -> None:
        board.hear(heartbeat)

    bus.listen(HEARTBEAT, beat)
    bus.listen(ALERT, watcher.heard)
    bus.listen(SOURCE_DRIFTED, partial(_drifted, board))
    shared = SharedAnswers(
        settings.redis_url,
        rules=Rules(most=settings.most_refreshes, lasts=timedelta(seconds=settings.refresh_timeout)),
    )
    memory = StoredAnswers(shared=shared, bus=bus, files=AnswerFiles(settings.data_dir / "served"), clock=utc_now)
    feed = SearchFeed(bus, tap=lambda *fact: _heard(traffic, board, known, *fact))
    known = Searches(
        bus=bus,
        feed=feed,
        clock=utc_now,
        capacity=settings.watched_searches,
        rules=StreamRules(ping=settings.stream_ping, life=settings.stream_life),
        memory=memory,
    )
    SSE_CLIENTS.follow(lambda: known.streams)
    seen, circuits = Seen(), SqlCircuits(database)
    bus.listen(BREAKER_CHANGED, partial(_source_changed, memory))
    bus.handle(GATEWAY_BREAKER, partial(_kept, circuits))
    bus.listen(SOURCE_SEEN, partial(_seen, seen))
    levers = Levers(bus)
    used = SqlUsage(database)
    bus.handle(GATEWAY_USAGE, partial(_used, used, known))
    desk = Desk(
        publisher=bus,
        asker=bus,
        memory=memory,
        searches=known,
        key=key,
        clock=utc_now,
        search_budget=TimeoutChain.load().pipeline,
        wait_max=settings.prefer_wait_max,
        max_streams=settings.max_streams,
        max_streams_per_tenant=settings.streams_per_tenant,
        owners=known,
        keys=keys,
        letters=bus.dead_letters,
        shelf=SqlShelf(database),
        sheets=sheets,
        signer=Signer(secret, life=settings.link_life),
        promises=SqlPromises(database, clock=utc_now),
        circuits=circuits,
        seen=seen,
        traffic=traffic,
        quota=Quota(settings.requests_per_minute),
        usage=used,
        caps=Caps(settings.daily_searches, settings.daily_llm_brl, settings.brl_per_usd),
        cockpit=Cockpit(bus, SqlAudit(database), utc_now),
        flag=levers.on,
        board=board,
        history=history,
        health=lambda: service.health(),  # noqa: PLW0108 - the service is made below
    )
    counted = metrics.router(TelemetrySettings().metrics_token)
    server = HttpServer(
        create_http(desk, pages=(page.router(), counted), origins=settings.cors_origins),
        host=settings.http_host,
        port=settings.http_port,
        before_shutdown=known.end_streams,
        headers_within=settings.headers_within,
    )
    jobs = (
        Every(PRUNE, memory.prune, name="served_answers"),
        Every(LOOK, watcher.look, name="watch"),
        Every(EVERY, watcher.snapshot, name="snapshot"),
    )
    service = Service(
        name="gateway",
        bus=bus,
        parts=(feed, database, shared, memory, known, sheets, *jobs, server),
        levers=levers,
        helpful={"sql": database.check, "disk": disk(settings.data_dir)},
    )
    return service


async def _used(usage: SqlUsage, searches: Searches, ended: Completed, _: Delivery) -> AsyncIterator[Outgoing]:
    if (tenant := await searches.owner(ended.search_id)) is not None:
        await usage.add(tenant, ended)
    return
    yield  # a handler is a generator, also one that sends nothing


async def _kept(circuits: SqlCircuits, change: BreakerChanged, _: Delivery) -> AsyncIterator[Outgoing]:
    await circuits.keep(change, now=utc_now())
    return
    yield  # a handler is a generator, also one that sends nothing


async def _seen(seen: Seen, told: SourceSeen) -> None:
    seen.hear(told)


async def _drifted(board: Board, drift: SourceDrifted) -> None:
    board.hear_drift(drift)


async def _source_changed(memory: StoredAnswers, change: BreakerChanged) -> None:
    memory.heard(change)


def _heard(traffic: Traffic, board: Board, known: Searches, subject: str, sequence: int, body: bytes) -> None:
    now = utc_now()
    known.heard(subject, body)
    traffic.hear(subject, sequence, body, now=now)
    if (topic := fact_topic(subject)) is COMPLETED:
        board.hear_end(topic.decode(body).status, now=now)


def _secret(settings: GatewaySettings) -> bytes:
    given = settings.keys_secret
    return given.get_secret_value().encode() if given else secret_in(settings.data_dir)
