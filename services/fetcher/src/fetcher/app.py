"""Settings to adapters to handlers: the fetcher put together."""

import functools
import random

from contracts.subjects import BELL, FETCHER_CLAIMS
from contracts.values import Source
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.memory import BusMemory
from fetcher.adapters.pcp import PcpReader
from fetcher.adapters.pncp import PncpReader
from fetcher.clocks import Limits
from fetcher.domain.bucket import Bucket
from fetcher.engine import Engine, PageReader
from fetcher.handlers import OpenClaims, fetch
from fetcher.lane import Lane
from fetcher.settings import FetcherSettings
from servicekit.bus import Bus
from servicekit.chain import TimeoutChain
from servicekit.clock import utc_now
from servicekit.service import Service


def build(settings: FetcherSettings | None = None, *, chain: TimeoutChain | None = None) -> Service:
    """The fetcher of both sources, ready to start."""
    settings = settings or FetcherSettings()
    chain = chain or TimeoutChain.load()
    bus = Bus(url=settings.nats_url, service="fetcher")
    pncp, pcp = SourceHttp(settings.pncp_consulta_url), SourceHttp(settings.pcp_api_url)
    memory, open_claims = BusMemory(bus), OpenClaims()
    readers: tuple[tuple[PageReader, float], ...] = (
        (PncpReader(pncp), settings.pncp_rate_per_second),
        (PcpReader(pcp), settings.pcp_rate_per_second),
    )
    for reader, rate in readers:
        engine = _engine(reader, rate=rate / settings.fetcher_max_processes, chain=chain)
        bus.handle(
            FETCHER_CLAIMS[reader.source],
            functools.partial(fetch, engine=engine, memory=memory, open_claims=open_claims),
        )
    bus.listen(BELL, open_claims.hear)
    return Service(name="fetcher", bus=bus, parts=(pncp, pcp))


def _engine(reader: PageReader, *, rate: float, chain: TimeoutChain) -> Engine:
    return Engine(
        reader=reader,
        lane=Lane(Bucket(rate)),
        limits=limits_of(reader.source, chain),
        now=utc_now,
        chance=random.SystemRandom().random,
    )


def limits_of(source: Source, chain: TimeoutChain) -> Limits:
    """The chain for one source. A national listing is neither a UF nor a modalidade: it has the source's time."""
    if source.national:
        return Limits(
            claim=chain.per_source, claim_code="timeout.source", modalidade=chain.per_source, attempt=chain.http
        )
    return Limits(claim=chain.per_uf, claim_code="timeout.uf", modalidade=chain.per_modality, attempt=chain.http)
