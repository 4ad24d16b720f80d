"""Settings to parts to a service: what serves HTTP and what it stands on."""

from gateway import page
from gateway.adapters.searches import Searches
from gateway.adapters.server import HttpServer
from gateway.adapters.stream import StreamRules
from gateway.domain.keys import LocalKey
from gateway.http import create_http
from gateway.routes.ports import Desk
from gateway.settings import GatewaySettings
from servicekit.bus import Bus
from servicekit.chain import TimeoutChain
from servicekit.clock import utc_now
from servicekit.feed import SearchFeed
from servicekit.service import Service


def build(settings: GatewaySettings | None = None) -> Service:
    """The gateway: the bus, one feed, the watches, the listening socket; left in the reverse order."""
    settings = settings or GatewaySettings()
    bus = Bus(url=settings.nats_url, service="gateway")
    feed = SearchFeed(bus)
    known = Searches(
        bus=bus,
        feed=feed,
        clock=utc_now,
        capacity=settings.watched_searches,
        rules=StreamRules(ping=settings.stream_ping, life=settings.stream_life),
    )
    desk = Desk(
        publisher=bus,
        searches=known,
        key=LocalKey(settings.api_key.get_secret_value()),
        clock=utc_now,
        search_budget=TimeoutChain.load().pipeline,
        wait_max=settings.prefer_wait_max,
        max_streams=settings.max_streams,
    )
    server = HttpServer(
        create_http(desk, pages=(page.router(),)),
        host=settings.http_host,
        port=settings.http_port,
        before_shutdown=known.end_streams,
    )
    return Service(name="gateway", bus=bus, parts=(feed, known, server))
