"""Puts the service together: settings -> catalogue -> handler -> subscription."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from classifier import handlers
from classifier.adapters.catalogue_files import load_briefs, load_catalogue
from classifier.adapters.llm import OpenAi
from classifier.arbiter import Arbiter, Limits
from classifier.domain.lens import OwnTermsCache
from classifier.domain.relevance import Judge
from classifier.domain.spending import DailyBudget, LlmBreaker, Prices
from classifier.settings import ClassifierSettings
from contracts.control import Flag
from contracts.subjects import CLASSIFIER_ARBITRATE, CLASSIFIER_JUDGE
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.levers import Levers
from servicekit.service import Service


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
    arbiter = _arbiter(settings, llm) if llm is not None else None
    bus.handle(
        CLASSIFIER_ARBITRATE,
        partial(handlers.arbitrate, bench=bench, arbiter=arbiter, llm_on=partial(levers.on, Flag.LLM_ARBITRATION)),
    )
    return Service(name="classifier", bus=bus, parts=(_open(llm),) if llm is not None else (), levers=levers)


def _llm(settings: ClassifierSettings) -> OpenAi | None:
    if settings.llm_key is None:
        return None
    return OpenAi(
        api_key=settings.llm_key, base_url=settings.openai_base_url or None, model=settings.openai_model,
        timeout=settings.llm_timeout,
    )  # fmt: skip


def _arbiter(settings: ClassifierSettings, llm: OpenAi) -> Arbiter:
    return Arbiter(
        llm,
        briefs=load_briefs(),
        limits=Limits(at_once=settings.llm_at_once, call=settings.llm_timeout, held=settings.llm_opinions_held),
        budget=DailyBudget(settings.llm_daily_usd),
        prices=Prices(asked=settings.llm_usd_per_million_asked, answered=settings.llm_usd_per_million_answered),
        breaker=LlmBreaker(),
        clock=utc_now,
    )


@asynccontextmanager
async def _open(llm: OpenAi) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await llm.close()
