"""Slices wanted by many searches are fetched once; whoever dies on the way, the others get their pages."""

import random
import signal
import time
from collections import Counter

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SLOW = {"PNCP_RATE_PER_SECOND": "4", "PCP_RATE_PER_SECOND": "20"}
"""Slow enough for a strike to fall into the fetch."""
SEARCHES = (
    {"ufs": ["SE", "AL", "RO"], "sector": "alimentacao"},
    {"ufs": ["AL", "RO", "TO"], "sector": "obras"},
    {"ufs": ["SE", "TO"], "sector": "limpeza_higiene"},
)
"""Overlapping UFs, different sectors: the first is the one that dies."""
VICTIMS = ("fetcher", "cache", "first search")
SEEDS = 10


@pytest.fixture(scope="module")
def undisturbed(start_farol):
    """What each search finds when nobody dies."""
    farol = start_farol("--processes", PNCP_RATE_PER_SECOND="50", PCP_RATE_PER_SECOND="50")
    found = [found_by(farol, farol.ask(**search)) for search in SEARCHES]
    farol.stop()
    return found


def found_by(farol, search_id):
    state = farol.until_over(search_id)
    assert (state["status"], state["coverage"]["coverage_pct"]) == ("completed", 100), state
    return state["counts"], sorted(row["id"] for row in farol.results(search_id))


def asked_for(farol):
    """How often each page was asked for."""
    return Counter((hit["source"], hit["asked"]["url"] if "asked" in hit else hit["url"]) for hit in farol.hits())


def strike(farol, victim, first):
    if victim == "first search":
        assert farol.http.delete(f"/v1/searches/{first}").status_code in {200, 202}
    else:
        farol.signal(victim, signal.SIGKILL)


def cases():
    for victim in VICTIMS:
        for seed in range(SEEDS):
            marks = () if seed == 0 else (pytest.mark.soak,)
            yield pytest.param(victim, seed, id=f"{victim}-{seed}", marks=marks)


@pytest.mark.parametrize(("victim", "seed"), list(cases()))
class TestSingleFlight:
    def test_brings_the_others_their_pages_whoever_dies(self, start_farol, undisturbed, victim, seed):
        chance = random.Random(f"{victim}:{seed}")  # noqa: S311 - seeded on purpose
        farol = start_farol("--processes", **SLOW)
        ids = []
        for search in SEARCHES:
            ids.append(farol.ask(**search))
            time.sleep(chance.uniform(0, 0.3))
        time.sleep(chance.uniform(0.5, 3.0))
        before = sum(asked_for(farol).values())
        strike(farol, victim, ids[0])

        others = range(1, len(SEARCHES)) if victim == "first search" else range(len(SEARCHES))
        assert [found_by(farol, ids[n]) for n in others] == [undisturbed[n] for n in others]
        pages = asked_for(farol)
        farol.stop()
        assert sum(pages.values()) > before, "the strike came when nothing was left to fetch"
        # What a dead process held is handed out again; the end of a search takes nothing from the others' fetch.
        assert max(pages.values()) <= (1 if victim == "first search" else 2)
