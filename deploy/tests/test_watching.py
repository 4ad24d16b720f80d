"""What Prometheus and Grafana are told: sound, tested, about what Farol counts, and each alert with its runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from servicekit.telemetry import measures
from servicekit.telemetry.meters import Histogram, Meter

OURS = re.compile(r"\b((?:farol|search|fetch|llm|cache|api|filter|circuit|active)[a-z_]*_[a-z_]+)(?:\{([^}]*)\})?")
OF_HISTOGRAMS = ("_bucket", "_count", "_sum")
METERS: dict[str, Meter] = {each.name: each for each in vars(measures).values() if isinstance(each, Meter)}
Tool = Callable[[str], str]


@pytest.fixture(scope="module")
def alerts(deploy: Path) -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((deploy / "prometheus" / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.fixture(scope="module")
def queries(deploy: Path, alerts: dict[str, dict[str, Any]]) -> list[str]:
    """Every query of every alert and dashboard."""
    files = sorted((deploy / "grafana" / "dashboards").glob("*.json"))
    panels = [panel for file in files for panel in json.loads(file.read_text())["panels"]]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(files) == 6
    return [*shown, *(rule["expr"] for rule in alerts.values())]


def used(queries: list[str]) -> Iterator[tuple[str, str]]:
    """Names and label matchers of our metrics."""
    for query in queries:
        yield from OURS.findall(re.sub(r"by \([^)]*\)", "", query))


def meter_of(name: str) -> Meter:
    if name in METERS:
        return METERS[name]
    base = next((name.removesuffix(end) for end in OF_HISTOGRAMS if name.endswith(end)), name)
    assert isinstance(METERS.get(base), Histogram), f"no metric {name}"
    return METERS[base]


def promtool(tool: Tool, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [tool("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class TestAlerts:
    def test_are_rules_that_prometheus_takes(self, deploy: Path, tool: Tool):
        run = promtool(tool, "check", "rules", deploy / "prometheus" / "alerts.yml")
        assert run.returncode == 0, run.stderr

    def test_are_in_a_configuration_that_prometheus_takes(self, deploy: Path, tool: Tool, tmp_path: Path):
        shutil.copy(deploy / "prometheus" / "alerts.yml", tmp_path)
        text = (deploy / "compose" / "prometheus.yml").read_text()
        (tmp_path / "p.yml").write_text(text.replace("/etc/prometheus/alerts.yml", str(tmp_path / "alerts.yml")))
        run = promtool(tool, "check", "config", tmp_path / "p.yml")
        assert run.returncode == 0, run.stderr
        assert "alerts.yml" in run.stdout

    def test_fire_and_are_silent_as_their_cases_say(self, deploy: Path, tool: Tool):
        run = promtool(tool, "test", "rules", deploy / "prometheus" / "alerts_test.yml")
        assert run.returncode == 0, run.stdout + run.stderr

    def test_have_one_case_each_that_fires_and_one_that_does_not(self, deploy: Path, alerts: dict[str, Any]):
        cases = yaml.safe_load((deploy / "prometheus" / "alerts_test.yml").read_text())["tests"]
        told = [(case["alertname"], bool(case["exp_alerts"])) for each in cases for case in each["alert_rule_test"]]
        assert set(told) == {(name, fires) for name in alerts for fires in (True, False)}

    def test_are_caught_when_one_never_fires(self, deploy: Path, tool: Tool, tmp_path: Path):
        shutil.copytree(deploy / "prometheus", tmp_path / "p")
        rules = tmp_path / "p" / "alerts.yml"
        rules.write_text(rules.read_text().replace("farol_stream_fill_ratio) > 0.7", "farol_stream_fill_ratio) > 7"))
        assert promtool(tool, "test", "rules", tmp_path / "p" / "alerts_test.yml").returncode != 0

    def test_have_a_runbook_with_meaning_check_and_cure(self, deploy: Path, alerts: dict[str, Any]):
        text = (deploy.parent / "docs" / "ops" / "runbooks.md").read_text()
        chapters = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
        assert chapters.keys() == alerts.keys()
        for name, chapter in chapters.items():
            assert all(f"**{word}.**" in chapter for word in ("Meaning", "Check", "Cure")), name
            assert alerts[name]["annotations"]["runbook"].endswith(f"#{name.lower()}")


class TestQueries:
    def test_ask_for_metrics_and_labels_that_farol_has(self, queries: list[str]):
        found = list(used(queries))
        assert len({name for name, _ in found}) > 30
        for name, matchers in found:
            labels = {label.name: label.values for label in meter_of(name).labels} | {"le": None}
            for label, operator, value in re.findall(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"', matchers):
                assert label in labels, (name, label)
                known = labels[label]
                assert known is None or "~" in operator or value in known, (name, label, value)

    def test_read_as_prometheus_reads_them(self, queries: list[str], tool: Tool, tmp_path: Path):
        rules = [{"record": f"q:{number}", "expr": query} for number, query in enumerate(queries)]
        (tmp_path / "q.yml").write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
        run = promtool(tool, "check", "rules", tmp_path / "q.yml")
        assert run.returncode == 0, run.stderr
