"""How the reporter is put together."""

from datetime import timedelta
from functools import partial

from contracts.subjects import REPORTER_SPREADSHEET, REPORTER_SUMMARIZE
from reporter.adapters.shelf import BusShelf
from reporter.adapters.workshop import Workshop
from reporter.handlers import write_spreadsheet, write_summary
from reporter.settings import ReporterSettings
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.service import Service


def build(settings: ReporterSettings | None = None) -> Service:
    """The service, ready to start."""
    settings = settings or ReporterSettings()
    bus = Bus(url=settings.nats_url, service="reporter")
    shelf = BusShelf(bus)
    workshop = Workshop(benches=settings.workers, retry_after=timedelta(seconds=settings.retry_delay_s))
    bus.handle(REPORTER_SUMMARIZE, partial(write_summary, shelf=shelf))
    bus.handle(
        REPORTER_SPREADSHEET,
        partial(
            write_spreadsheet,
            shelf=shelf,
            workshop=workshop,
            clock=utc_now,
            limit=timedelta(seconds=settings.spreadsheet_limit_s),
        ),
    )
    return Service(name="reporter", bus=bus, parts=(workshop,))
