"""Whatever dies in mid search, the answer is the one that it would have been, and it is given once."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SLOW = {"kind": "latency", "source": "pncp", "endpoint": "publicacao", "seconds": 7.0, "spread": 2.0}
"""Two round trips of it make every search below last 15 s and more."""
LONG_ENOUGH = timedelta(seconds=15)
SEARCH = {"ufs": ["SP", "RS", "AC"], "sector": "alimentacao"}
SEEDS = 5
VICTIMS = ("coordinator", "fetcher", "cache", "classifier")


def cases():
    """One seeded instant per victim in every run; all five in `make soak`."""
    for victim in VICTIMS:
        chance = random.Random(f"{victim}-2026")  # noqa: S311 - seeded on purpose
        instants = [round(chance.uniform(0.3, 14.0), 1) for _ in range(SEEDS)]
        for n, instant in enumerate(instants):
            marks = [pytest.mark.soak] if n else []
            yield pytest.param(victim, instant, id=f"{victim}-{instant}s", marks=marks)


@pytest.fixture
def farol(start_farol):
    """Its own data directory: what a search before it stored would make it short."""
    farol = start_farol("--processes")
    farol.set_faults(SLOW)
    yield farol
    farol.stop()


def answer(farol, search_id):
    """What a user can tell one answer from another by."""
    state = farol.state(search_id)
    coverage = state["coverage"]
    return {
        "status": state["status"],
        "counts": state["counts"],
        "coverage": (coverage["coverage_pct"], coverage["slices_asked"], coverage["slices_complete"]),
        "ufs": [(uf["uf"], uf["status"], uf["records"]) for uf in coverage["ufs_status_detail"]],
        "results": farol.results(search_id),
    }


@pytest.fixture(scope="module")
def undisturbed(start_farol):
    farol = start_farol("--processes")
    farol.set_faults(SLOW)
    search_id = farol.ask(**SEARCH)
    farol.until_over(search_id)
    facts = farol.facts(search_id)
    assert facts[-1].time - facts[0].time >= LONG_ENOUGH
    reference = answer(farol, search_id)
    farol.stop()
    return reference


def check(farol, search_id, undisturbed, *, struck_at):
    farol.until_over(search_id)
    assert answer(farol, search_id) == undisturbed
    facts = farol.facts(search_id)
    assert fact_names(facts).count("completed") == 1
    assert facts[0].time < struck_at < facts[-1].time


def fact_names(facts):
    return [fact.subject.split(".")[3] for fact in facts]


class TestSigkill:
    @pytest.mark.parametrize(("victim", "instant"), list(cases()))
    def test_changes_nothing_of_the_answer(self, farol, undisturbed, victim, instant):
        search_id = farol.ask(**SEARCH)
        time.sleep(instant)
        struck_at = farol.signal(victim, signal.SIGKILL)

        check(farol, search_id, undisturbed, struck_at=struck_at)

    def test_of_the_bus_changes_nothing_either(self, farol, undisturbed):
        search_id = farol.ask(**SEARCH)
        time.sleep(4.0)
        struck_at = farol.signal("nats", signal.SIGKILL)

        check(farol, search_id, undisturbed, struck_at=struck_at)


class TestSigstop:
    def test_of_the_coordinator_past_its_ack_wait_ends_once(self, farol, undisturbed):
        """With a second coordinator there is somebody to take over while the first is only asleep."""
        second = start_coordinator(farol)
        try:
            search_id = farol.ask(**SEARCH)
            time.sleep(4.0)
            holders = [farol.pid("coordinator"), second.pid]
            struck_at = None
            for pid in holders:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(5.0)
                os.kill(pid, signal.SIGCONT)
                struck_at = struck_at or farol.facts(search_id)[0].time + timedelta(seconds=4)

            check(farol, search_id, undisturbed, struck_at=struck_at)
            assert fact_names(farol.facts(search_id)).count("lease") >= 2
        finally:
            second.terminate()
            second.wait(20)


def start_coordinator(farol):
    return subprocess.Popen(
        [sys.executable, "-m", "coordinator"],
        env={**os.environ, "NATS_URL": farol.endpoint["nats_url"], "FAROL_DATA_DIR": str(farol.data_dir)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
