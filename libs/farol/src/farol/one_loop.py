"""Every service in one event loop: the smallest Farol."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from cache.app import build as build_cache
from classifier.app import build as build_classifier
from coordinator.app import build as build_coordinator
from farol.settings import tell_services
from fetcher.app import build as build_fetcher
from gateway.app import build as build_gateway
from reporter.app import build as build_reporter
from servicekit.health import Health, worst_of
from servicekit.service import Service, spare_the_collector
from servicekit.settings import TelemetrySettings
from servicekit.telemetry.process import shown

BUILDS: Mapping[str, Callable[[], Service]] = {
    "cache": build_cache,
    "classifier": build_classifier,
    "fetcher": build_fetcher,
    "reporter": build_reporter,
    "coordinator": build_coordinator,
    "gateway": build_gateway,
}
"""In the order in which they start: whoever works before whoever asks for work."""


@asynccontextmanager
async def services_in_one_loop(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """All services started; stopped in the reverse order."""
    tell_services(environment)
    services = await asyncio.to_thread(lambda: [build() for build in BUILDS.values()])

    async def ready() -> Health:
        found = await asyncio.gather(*(service.health() for service in services))
        return worst_of({service.name: each for service, each in zip(services, found, strict=True)})

    async with shown(TelemetrySettings(), ready=ready), AsyncExitStack() as stack:
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        spare_the_collector()
        yield
