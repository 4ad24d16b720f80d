"""D02 on the whole system: whatever becomes of the model, a search ends on time, says what it did, and is not empty."""

import os
import subprocess
import sys

import httpx
import pytest

from contracts.classification import Arbitrated
from contracts.search import Completed
from contracts.subjects import fact_topic

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(600)]

UFS = ["SP", "RJ", "MG", "PA"]
FAST = {"PNCP_RATE_PER_SECOND": "50", "PCP_RATE_PER_SECOND": "50"}
MOODS = {
    "consultoria": {"mood": "honest"},
    "obras": {"mood": "false_quotes"},
    "mobiliario": {"mood": "obeys"},
    "materiais_construcao": {"mood": "wrong_schema"},
    "informatica": {"mood": "slow", "seconds": 300},
    "insumos_saude": {"mood": "broken"},
}
"""Another sector for each, since answers and opinions are kept; the last two open the breaker."""
SILENT = {"wrong_schema", "slow", "broken"}


@pytest.fixture(scope="module")
def llm():
    """The address of an endpoint that behaves as it is told."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "simulators.llm"], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout
    yield process.stdout.readline().strip().removeprefix("OPENAI_BASE_URL=")
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def farol(start_farol, llm):
    return start_farol(OPENAI_API_KEY="k", OPENAI_BASE_URL=llm, **FAST)


def behave(llm, conduct):
    """From now on."""
    httpx.put(f"{llm.removesuffix('/v1')}/_sim/llm", json=conduct, timeout=10).raise_for_status()


def judged(farol, sector):
    """How a search ends, what it found, and the facts about the model."""
    search_id = farol.ask(ufs=UFS, sector=sector)
    state = farol.until_over(search_id)
    facts = [topic.decode(each.body) for each in farol.facts(search_id) if (topic := fact_topic(each.subject))]
    said = [fact for fact in facts if isinstance(fact, Arbitrated) and fact.batch.startswith("llm-")]
    (completed,) = [fact for fact in facts if isinstance(fact, Completed)]
    return state, farol.results(search_id), said, completed


def check(state, rows):
    assert state["status"] == "completed"
    assert state["counts"]["uncertain"] == 0
    assert rows
    for row in rows:
        if row["relevance_source"] == "rules_without_llm":
            assert (row["confidence"], row["confidence_score"]) == ("low", 50)
        if row["relevance_source"].startswith("llm_"):
            assert row["evidence"]
            assert all(quote in row["objeto"] for quote in row["evidence"])


class TestAModel:
    @pytest.mark.parametrize("sector", MOODS)
    def test_costs_no_search_its_answer_whatever_its_day(self, farol, llm, sector):
        behave(llm, MOODS[sector])
        state, rows, said, completed = judged(farol, sector)
        check(state, rows)
        assert said
        decided = sum(len(fact.accepted) + len(fact.rejected) for fact in said)
        if MOODS[sector]["mood"] == "honest":
            assert decided > 0
            assert sum(fact.llm_tokens for fact in said) > 0
        if MOODS[sector]["mood"] in SILENT:
            assert (decided, completed.llm_pending > 0) == (0, True)

    def test_is_not_asked_once_the_days_money_is_spent(self, start_farol, llm):
        farol = start_farol(OPENAI_API_KEY="k", OPENAI_BASE_URL=llm, CLASSIFIER_LLM_DAILY_USD="0", **FAST)
        behave(llm, {"mood": "honest"})
        state, rows, said, completed = judged(farol, "insumos_saude")
        check(state, rows)
        assert said
        assert not any(fact.accepted or fact.rejected or fact.llm_tokens for fact in said)
        assert completed.llm_pending > 0
