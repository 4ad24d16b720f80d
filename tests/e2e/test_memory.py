"""The memory of itself: filled by nobody's search, told as it is, and then searched without a request."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FAST = {"PNCP_RATE_PER_SECOND": "50", "PCP_RATE_PER_SECOND": "50"}
DAYS, PREGAO = 2, 6
TODAY = (datetime.now(UTC) - timedelta(hours=3)).date()
WINDOW = {"date_from": str(TODAY - timedelta(days=DAYS - 1)), "date_to": str(TODAY)}


def coverage(farol, **window):
    reply = farol.http.get("/v1/coverage", params={**WINDOW, "modalidade": PREGAO, **window})
    assert reply.status_code == 200, reply.text
    return reply.json()


def asked_of(farol, endpoint):
    return [hit for hit in farol.hits() if hit.get("asked", hit).get("endpoint", hit.get("endpoint")) == endpoint]


class TestScheduledIngest:
    def test_answers_a_later_search_without_a_request(self, start_farol):
        farol = start_farol(
            **FAST, FAROL_INGEST="on", FAROL_INGEST_DAYS=str(DAYS), FAROL_INGEST_MODALIDADES=str(PREGAO)
        )
        end = time.monotonic() + 200
        while coverage(farol)["coverage_pct"] < 100:
            assert time.monotonic() < end, coverage(farol)
            time.sleep(1)
        farol.clear_hits()
        search_id = farol.ask(ufs=["SP", "RJ", "AC"], modalidades=[PREGAO], **WINDOW)
        state = farol.until_over(search_id)

        assert (state["status"], state["coverage"]["coverage_pct"]) == ("completed", 100)
        assert asked_of(farol, "publicacao") == asked_of(farol, "processos") == []


class TestBackfill:
    def test_fetches_what_is_missing_until_nothing_is(self, start_farol):
        farol = start_farol(**FAST)
        window = {"date_from": str(TODAY - timedelta(days=40)), "date_to": str(TODAY - timedelta(days=10))}
        before = coverage(farol, **window, uf="AC")
        done = subprocess.run(
            [
                sys.executable, "-m", "farol", "backfill", "--uf", "AC", "--from", window["date_from"],
                "--to", window["date_to"], "--json", "--data-dir", str(farol.data_dir),
            ],
            env=os.environ, capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
        steps = [json.loads(line) for line in done.stdout.splitlines()]
        after = coverage(farol, **window, uf="AC")

        assert before["coverage_pct"] == 0
        assert (done.returncode, steps[-1]["left"]) == (0, 0), done.stderr
        assert after["coverage_pct"] == 100
        assert sum(run["records"] for run in after["runs"]) > 0
