"""How the reporter is put together."""

from datetime import timedelta
from functools import partial

from contracts.subjects import REPORTER_SPREADSHEET, REPORTER_SUMMARIZE
from reporter.adapters.llm import OpenAiWriter
from reporter.adapters.shelf import BusShelf
from reporter.domain.lately import Lately
from reporter.handlers import write_spreadsheet, write_summary
from reporter.settings import ReporterSettings
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.service import Service
from servicekit.spreadsheet.workshop import Workshop


def build(settings: ReporterSettings | None = None) -> Service:
    """The service, ready to start."""
    settings = settings or ReporterSettings()
    bus = Bus(url=settings.nats_url, service="reporter")
    shelf = BusShelf(bus)
    retry_after = timedelta(seconds=settings.retry_delay_s)
    workshop = Workshop(benches=settings.workers, retry_after=retry_after)
    writer = _writer(settings, retry_after)
    bus.handle(
        REPORTER_SUMMARIZE,
        partial(write_summary, shelf=shelf, lately=Lately(), writer=writer, retry_after=retry_after),
    )
    bus.handle(
        REPORTER_SPREADSHEET,
        partial(
            write_spreadsheet,
            shelf=shelf,
            workshop=workshop,
            lately=Lately(),
            clock=utc_now,
            limit=timedelta(seconds=settings.spreadsheet_limit_s),
        ),
    )
    return Service(name="reporter", bus=bus, parts=(workshop, writer) if writer else (workshop,))


def _writer(settings: ReporterSettings, retry_after: timedelta) -> OpenAiWriter | None:
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    if not key:
        return None
    return OpenAiWriter(
        api_key=key,
        base_url=settings.openai_base_url or None,
        model=settings.openai_model,
        timeout=timedelta(seconds=settings.llm_timeout_s),
        retry_after=retry_after,
    )
