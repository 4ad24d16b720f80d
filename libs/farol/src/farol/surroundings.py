"""What `farol doctor` says of what stands around the services: bus, Redis, database, key, clock, and who is at work."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from contracts.subjects import CONSUMERS, STREAMS
from farol.doctor import Finding
from servicekit.asking import Ask, asking
from servicekit.envelope import moment
from servicekit.errors import DependencyAway, Unavailable
from servicekit.provision import BUCKETS
from servicekit.sql.database import Database, Schema
from servicekit.sql.migrating import revisions

ANSWERS_WITHIN: Final = 5.0
AT_WORK_WITHIN: Final = 6.0
"""A worker always has a request for messages lying at the server, but for the moment between two of them."""
LOOK_EVERY: Final = 0.3
MOST_SKEW: Final = timedelta(seconds=5)
"""More, and deadlines of one service are another one's past: the shortest level of the chain is 30 s."""


async def redis(url: str) -> Finding:
    """Whether Redis lets us in; without it Farol runs, each process on a share of the rates."""
    where = url.rpartition("@")[2].removeprefix("redis://").removeprefix("rediss://")
    client = Redis.from_url(url, socket_timeout=ANSWERS_WITHIN, socket_connect_timeout=ANSWERS_WITHIN, retry=None)
    try:
        await client.ping()
    except AuthenticationError:
        given = urlsplit(url).password
        why = "recusa a senha de REDIS_URL" if given else "pede uma senha, e REDIS_URL não tem"
        return Finding("redis", "error", f"{where} {why}.")
    except (RedisError, OSError) as exc:
        return Finding("redis", "warning", f"{where} não respondeu ({type(exc).__name__}).")
    finally:
        await client.aclose()
    return Finding("redis", "ok", f"{where} respondeu.")


async def database(schema: Schema, database_url: str | None, data_dir: Path, *, running: bool) -> Finding:
    """Whether the tables are those of this version."""
    check = f"banco ({schema.name})"
    if not database_url and not (data_dir / f"{schema.name}.db").exists():
        return Finding(check, "ok", "Ainda sem tabelas; são criadas ao iniciar.")
    try:
        async with Database.of(schema, database_url, data_dir) as opened:
            current = await opened.revision()
    except DependencyAway as exc:
        return Finding(check, "error", f"O banco não respondeu: {exc}.")
    known = revisions(schema.migrations)
    return _tables(check, current, known, running=running)


def _tables(check: str, current: str | None, known: Sequence[str], *, running: bool) -> Finding:
    if current is None:
        return Finding(check, "ok", "Ainda sem tabelas; são criadas ao iniciar.")
    if current not in known:
        return Finding(check, "error", f"As tabelas são de outra versão ({current}); instale a versão que as criou.")
    if current != known[-1]:
        message = f"As tabelas estão em {current} e o programa em {known[-1]}; "
        if running:
            return Finding(check, "error", f"{message}reinicie o Farol.")
        return Finding(check, "warning", f"{message}são atualizadas ao iniciar.")
    return Finding(check, "ok", f"Tabelas em {current}.")


async def bus(url: str, *, now: Callable[[], datetime]) -> list[Finding]:
    """Whether every stream and consumer is there, who is at work, and whether the server's clock is ours."""
    try:
        async with asking(url, user="operator", within=timedelta(seconds=ANSWERS_WITHIN)) as ask:
            return [finding async for finding in _of_bus(ask, now=now)]
    except Unavailable as exc:
        return [Finding("barramento", "error", f"O NATS não respondeu ou recusou a entrada ({exc}).")]


async def _of_bus(ask: Ask, *, now: Callable[[], datetime]) -> Any:
    names = [*(stream.name for stream in STREAMS), *(f"OBJ_{bucket}" for bucket in BUCKETS)]
    infos = {name: await ask(f"STREAM.INFO.{name}") for name in names}
    missing = [name for name, info in infos.items() if info is None]
    if missing:
        yield Finding("streams", "error", f"Faltam no barramento: {', '.join(missing)}; rode servicekit.provision.")
    else:
        yield Finding("streams", "ok", f"{len(names)} streams.")
    told = next((info["ts"] for info in infos.values() if info and "ts" in info), None)
    if told:
        yield clock("barramento", moment(told), now=now())
    for finding in await _at_work(ask):
        yield finding


async def _at_work(ask: Ask) -> list[Finding]:
    """Per service, whether someone asks for its messages."""
    idle = {each.service for each in CONSUMERS}
    gone: set[str] = set()
    loop = asyncio.get_running_loop()
    end = loop.time() + AT_WORK_WITHIN
    while idle and loop.time() < end:
        gone = set()
        for consumer in CONSUMERS:
            if consumer.service not in idle:
                continue
            info = await ask(f"CONSUMER.INFO.{consumer.stream.name}.{consumer.durable}")
            if info is None:
                gone.add(consumer.durable)
            elif info.get("num_waiting", 0) > 0:
                idle.discard(consumer.service)
        await asyncio.sleep(LOOK_EVERY if idle else 0)
    found = [Finding(service, "error", "Ninguém atende: o serviço não está rodando.") for service in sorted(idle)]
    if gone:
        found.append(Finding("consumidores", "error", f"Faltam no barramento: {', '.join(sorted(gone))}."))
    return found or [Finding("serviços", "ok", "Todos atendem.")]


def clock(against: str, there: datetime, *, now: datetime) -> Finding:
    """Whether two clocks agree well enough for deadlines to mean the same on both."""
    skew = now - there
    if abs(skew) > MOST_SKEW:
        way = "adiantado" if skew > timedelta(0) else "atrasado"
        seconds = abs(round(skew.total_seconds()))
        return Finding("relógio", "error", f"O relógio daqui está {seconds} s {way} ({against}); acerte-o por NTP.")
    return Finding("relógio", "ok", f"De acordo ({against}).")


def clock_of_reply(name: str, headers: Mapping[str, str], *, now: datetime) -> Iterator[Finding]:
    """The same by the `Date` of an HTTP reply."""
    try:
        there = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError):
        return
    yield clock(name, there, now=now)


async def key(url: str, secret: str | None) -> Finding:
    """Whether the key that commands here use opens."""
    if secret is None:
        return Finding("chave", "warning", "Não há chave: informe FAROL_API_KEY.")
    headers = {"Authorization": f"Bearer {secret}"}
    try:
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN, trust_env=False) as http:
            reply = await http.get(f"{url}/v1/sectors", headers=headers)
    except (httpx.TransportError, httpx.InvalidURL) as exc:
        return Finding("chave", "warning", f"{url} não respondeu ({type(exc).__name__}).")
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        return Finding("chave", "error", f"{url} não reconhece a chave; veja FAROL_API_KEY ou crie outra.")
    return Finding("chave", "ok", "A chave abre.")
