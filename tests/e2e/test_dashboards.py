"""Every query of the dashboards and alerts is about something that a real run emits."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
OURS = re.compile(r"\b(?:farol|search|fetch|llm|cache|api|filter|circuit|active)[a-z_]*_[a-z_]+")
WITHOUT_A_MODEL = {
    "farol_llm_tokens_total",
    "farol_llm_usd_total",
    "llm_calls_total",
    "llm_call_duration_seconds_bucket",
}
"""Nobody calls a language model in this run."""
WHEN_SOMETHING_FAILS = {
    "api_errors_total", "farol_fetch_retries_total", "farol_bus_dead_letters_total", "farol_bus_redeliveries_total",
    "farol_bus_paused",
}  # fmt: skip
AFTER_MINUTES = {"farol_ledger_age_seconds"}
"""Told by a job that is in no hurry."""


SELDOM = WITHOUT_A_MODEL | WHEN_SOMETHING_FAILS | AFTER_MINUTES


def asked_for() -> set[str]:
    panels = [
        p for file in (DEPLOY / "grafana/dashboards").glob("*.json") for p in json.loads(file.read_text())["panels"]
    ]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    text = " ".join([*queries, *(rule["expr"] for rule in rules)])
    return set(OURS.findall(re.sub(r"by \([^)]*\)", "", text)))


class TestDashboards:
    def test_show_what_a_run_emits(self, start_farol: Callable[..., Any]):
        farol = start_farol(PNCP_RATE_PER_SECOND="200", PCP_RATE_PER_SECOND="200")
        search = farol.ask(ufs=["SE"], sector="alimentacao")
        farol.until_closed(search)
        again = farol.http.post("/v1/searches", json={"ufs": ["SE"], "sector": "alimentacao"})
        assert again.status_code in {200, 202}

        def emitted() -> set[str]:
            reply = httpx.get(f"{farol.endpoint['url']}/metrics", timeout=10)
            assert reply.status_code == 200
            return set(re.findall(r"^([a-z_]+)(?:\{| )", reply.text, flags=re.MULTILINE))

        wanted = asked_for() - SELDOM
        assert len(wanted) > 30
        farol.until(lambda: wanted <= emitted(), what=lambda: sorted(wanted - emitted()))
        declared = set(
            re.findall(r"^# TYPE ([a-z_]+) ", httpx.get(f"{farol.endpoint['url']}/metrics").text, flags=re.MULTILINE)
        )
        rest = {name.removesuffix("_total").removesuffix("_bucket") for name in SELDOM}
        assert rest <= {name.removesuffix("_total") for name in declared}
