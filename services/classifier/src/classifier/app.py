"""Puts the service together: settings -> catalogue -> handler -> subscription."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from classifier import handlers, learning
from classifier.adapters.catalogue_files import load_briefs, load_catalogue
from classifier.adapters.labelled_bids import labelled
from classifier.adapters.llm import OpenAi
from classifier.adapters.sql.feedback import SqlFeedback
from classifier.adapters.sql.opinions import SqlOpinions, SqlSpending
from classifier.adapters.sql.schema import SCHEMA
from classifier.arbiter import Arbiter, Limits
from classifier.domain.lens import OwnTermsCache
from classifier.domain.relevance import Judge
from classifier.domain.spending import DailyBudget, LlmBreaker, Prices
from classifier.purse import Purse
from classifier.settings import ClassifierSettings
from contracts.control import Flag
from contracts.subjects import CLASSIFIER_ARBITRATE, CLASSIFIER_JUDGE, FEEDBACK, FEEDBACK_PATTERNS
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.levers import Levers
from servicekit.service import Service
from servicekit.sql.database import Database


def build(settings: ClassifierSettings | None = None) -> Service:
    """The classifier, ready to start."""
    settings = settings or ClassifierSettings()
    judge = Judge(load_catalogue())
    bench = handlers.Bench(
        judge=judge,
        own_terms=OwnTermsCache(judge.grammarian, size=settings.own_terms_held),
        viability_enabled=settings.viability_enabled,
    )
    bus = Bus(url=settings.nats_url, service="classifier")
    levers = Levers(bus)
    bus.handle(CLASSIFIER_JUDGE, partial(handlers.judge, bench=bench, viability_on=partial(levers.on, Flag.VIABILITY)))
    llm = _llm(settings)
    database = Database.of(SCHEMA, settings.database_url, settings.data_dir)
    arbiter = _arbiter(settings, llm, database) if llm is not None else None
    bus.handle(
        CLASSIFIER_ARBITRATE,
        partial(handlers.arbitrate, bench=bench, arbiter=arbiter, llm_on=partial(levers.on, Flag.LLM_ARBITRATION)),
    )
    book = SqlFeedback(database, most_an_hour=settings.feedback_an_hour) if settings.feedback_enabled else None
    bus.answer(FEEDBACK, partial(learning.tell, book=book, clock=utc_now))
    bus.answer(FEEDBACK_PATTERNS, partial(learning.patterns, book=book, judge=judge, labelled=labelled))
    asking = (_open(llm, arbiter),) if llm is not None and arbiter is not None else ()
    return Service(name="classifier", bus=bus, parts=(database, *asking), levers=levers)


def _llm(settings: ClassifierSettings) -> OpenAi | None:
    if settings.llm_key is None:
        return None
    return OpenAi(
        api_key=settings.llm_key, base_url=settings.openai_base_url or None, model=settings.openai_model,
        timeout=settings.llm_timeout,
    )  # fmt: skip


def _arbiter(settings: ClassifierSettings, llm: OpenAi, database: Database) -> Arbiter:
    return Arbiter(
        llm,
        briefs=load_briefs(),
        limits=Limits(at_once=settings.llm_at_once, call=settings.llm_timeout, held=settings.llm_opinions_held),
        purse=Purse(
            shared=SqlSpending(database, settings.llm_daily_usd), own=DailyBudget(settings.llm_daily_usd), clock=utc_now
        ),
        kept=SqlOpinions(database),
        prices=Prices(asked=settings.llm_usd_per_million_asked, answered=settings.llm_usd_per_million_answered),
        breaker=LlmBreaker(),
        clock=utc_now,
    )


@asynccontextmanager
async def _open(llm: OpenAi, arbiter: Arbiter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await arbiter.close()
        await llm.close()
