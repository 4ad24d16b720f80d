"""Puts the service together: settings -> catalogue -> handler -> subscription."""

import functools

from classifier import handlers
from classifier.adapters.catalogue_files import load_catalogue
from classifier.domain.lens import OwnTermsCache
from classifier.domain.relevance import Judge
from classifier.settings import ClassifierSettings
from contracts.subjects import CLASSIFIER_JUDGE
from servicekit.bus import Bus
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
    bus.handle(CLASSIFIER_JUDGE, functools.partial(handlers.judge, bench=bench))
    return Service(name="classifier", bus=bus)
