"""The whole of Farol as a new user starts it: one command, recorded data, a search from another terminal."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from openpyxl import load_workbook

from contracts.answer import Result
from contracts.state import SearchView

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SEARCH = ("--uf", "SP", "--uf", "MG", "--sector", "alimentacao", "--days", "10")


@dataclass
class Farol:
    """One running `farol up` and its command line."""

    data_dir: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> dict[str, Any]:
        """Where it says that it runs."""
        return dict(json.loads((self.data_dir / "endpoint.json").read_text()))

    @property
    def pids(self) -> dict[str, int]:
        """Who is who."""
        return dict(json.loads((self.data_dir / "pids.json").read_text()))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`farol ...` as from another terminal."""
        return subprocess.run(
            [sys.executable, "-m", "farol", *arguments, "--data-dir", str(self.data_dir)],
            capture_output=True, text=True, timeout=200, env=environment(), check=False,
        )  # fmt: skip

    def search(self, *arguments: str) -> list[dict[str, Any]]:
        """The JSON lines of `farol search`."""
        done = self.run("search", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def http(self) -> httpx.Client:
        """The API, as whoever started it."""
        key = (self.data_dir / "api_key").read_text()
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.endpoint["url"], headers=headers, trust_env=False, timeout=30)

    def hits(self) -> int:
        """Requests that the recorded sources were asked."""
        reply = httpx.get(f"{self.endpoint['simulator_url']}/_sim/hits", trust_env=False)
        return len(reply.raise_for_status().json()["hits"])


def environment() -> dict[str, str]:
    """Ours, without what could point a Farol elsewhere."""
    foreign = ("FAROL_", "NATS_", "PNCP_", "PCP_", "DATABASE_URL", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def start(data_dir: Path, *arguments: str) -> Farol:
    """Start it and wait until it says where it is."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "farol", "up", "--sources", "recorded", "--port", "0"),
            *("--data-dir", str(data_dir), *arguments),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
    )  # fmt: skip
    farol = Farol(data_dir, process)
    assert process.stdout
    for line in process.stdout:
        farol.said.append(line.rstrip())
        if "Ctrl-C" in line:
            return farol
    pytest.fail("\n".join(farol.said))


def end(farol: Farol) -> None:
    """As Ctrl-C does; nothing is left behind."""
    family = psutil.Process(farol.process.pid).children(recursive=True)
    farol.process.send_signal(signal.SIGINT)
    try:
        rest, _ = farol.process.communicate(timeout=60)
    finally:
        farol.process.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    for left in alive:
        left.kill()
    assert farol.process.returncode == 0, rest
    assert not alive
    assert not (farol.data_dir / "endpoint.json").exists()


@pytest.fixture(scope="module")
def farol(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farol]:
    """Every service in one process."""
    started = start(tmp_path_factory.mktemp("farol"))
    yield started
    end(started)


@pytest.fixture(scope="module")
def first(farol: Farol) -> list[dict[str, Any]]:
    """The lines of one search, with its hits counted."""
    return farol.search(*SEARCH)


class TestUp:
    def test_prints_the_key_and_a_link_that_signs_a_browser_in(self, farol: Farol) -> None:
        [key] = [line.removeprefix("API key: ") for line in farol.said if line.startswith("API key: ")]
        assert key == (farol.data_dir / "api_key").read_text()
        [link] = [line.split(": ", 1)[1] for line in farol.said if "/entrar?key=" in line]
        with httpx.Client(trust_env=False, follow_redirects=True) as browser:
            assert browser.get(link).status_code == 200
            assert browser.get(f"{farol.endpoint['url']}/v1/searches/{'0' * 32}").status_code == 404

    def test_keeps_the_key_out_of_its_log(self, farol: Farol, first: list[dict[str, Any]]) -> None:
        assert first
        secret = (farol.data_dir / "api_key").read_text().rsplit("_", 1)[1]
        assert secret not in (farol.data_dir / "farol.log").read_text()

    def test_refuses_a_second_start_in_the_same_place(self, farol: Farol) -> None:
        second = farol.run("up", "--port", "0")
        assert second.returncode == 1
        assert farol.endpoint["url"] in second.stderr


class TestSearch:
    def test_ends_with_ranked_real_bids_of_the_asked_ufs_and_whole_coverage(self, first: list[dict[str, Any]]) -> None:
        result = first[-1]
        assert result["event"] == "result"
        view = SearchView.model_validate(result["data"]["search"])
        rows = [Result.model_validate(row) for row in result["data"]["results"]]
        assert (view.status, view.coverage.coverage_pct) == ("completed", 100)
        assert len(rows) >= 10
        assert {row.uf for row in rows} == {"SP", "MG"}
        assert [row.confidence_score for row in rows] == sorted((row.confidence_score for row in rows), reverse=True)
        assert all(row.matched_terms and row.viability for row in rows)
        counts = view.counts
        assert counts.fetched == counts.accepted + counts.rejected + counts.uncertain

    def test_tells_its_progress_uf_by_uf_before_it_ends(self, first: list[dict[str, Any]]) -> None:
        names = [line["event"] for line in first]
        assert names[0] == "asked"
        assert sorted(line["data"]["uf"] for line in first if line["event"] == "uf_completed") == ["MG", "SP"]
        assert names.index("uf_completed") < names.index("completed") < names.index("excel_ready")
        assert names.count("completed") == 1

    def test_saves_a_spreadsheet_with_a_row_for_each_bid(self, first: list[dict[str, Any]]) -> None:
        data = first[-1]["data"]
        book = load_workbook(data["spreadsheet"])
        assert book.worksheets[0].max_row == data["total"] + 1
        assert "Foram encontradas" in data["summary"]["text"]

    def test_asks_nothing_again_for_what_is_complete_and_fresh(self, farol: Farol, first: list[dict[str, Any]]) -> None:
        before = farol.hits()
        assert before > 0
        again = farol.search(*SEARCH)
        assert farol.hits() == before
        ids = [[row["id"] for row in lines[-1]["data"]["results"]] for lines in (first, again)]
        assert ids[0] == ids[1]

    def test_prints_a_table_for_people(self, farol: Farol, first: list[dict[str, Any]]) -> None:
        assert first
        done = farol.run("search", *SEARCH, "--table", "--limit", "5")
        assert done.returncode == 0
        assert "100% de cobertura — 2 de 2 estados" in done.stdout
        assert "(as 5 primeiras)" in done.stdout
        assert "Planilha: " in done.stdout

    def test_names_the_field_that_is_wrong(self, farol: Farol) -> None:
        done = farol.run("search", "--uf", "SP", "--sector", "foguetes", "--json")
        assert done.returncode == 1
        assert "sector" in done.stderr


class TestEvents:
    def test_tells_a_search_again_from_its_log(self, farol: Farol, first: list[dict[str, Any]]) -> None:
        search_id = first[0]["data"]["search_id"]
        done = farol.run("events", search_id, "--json")
        told = [json.loads(line) for line in done.stdout.splitlines()]
        live = [line for line in first if line.get("id")]
        assert told[: len(live)] == live


class TestExplain:
    def test_says_of_a_bid_what_the_route_says(self, farol: Farol, first: list[dict[str, Any]]) -> None:
        search_id, row = first[0]["data"]["search_id"], first[-1]["data"]["results"][0]
        done = farol.run("explain", search_id, row["id"])
        assert done.returncode == 0, done.stderr
        expected = [*row["matched_terms"], *row["evidence"], *row["reasons"], "Densidade: ", "Regras, na ordem"]
        expected += [factor["reason"] for factor in row["viability"]["factors"]]
        assert [words for words in expected if words not in done.stdout] == []
        told = json.loads(farol.run("explain", search_id, row["id"], "--json").stdout)
        with farol.http() as http:
            assert told == http.get(f"/v1/searches/{search_id}/results/{row['id']}/explanation").json()
        assert (told["trace"], len(told["steps"])) == (row["trace"], len(row["trace"]))

    def test_says_when_nobody_looked_at_a_bid(self, farol: Farol, first: list[dict[str, Any]]) -> None:
        done = farol.run("explain", first[0]["data"]["search_id"], "PCP-1")
        assert (done.returncode, "bid.not_found" in done.stderr) == (1, True)


class TestFeedback:
    def test_is_kept_and_read_for_what_it_has_in_common(self, farol: Farol, first: list[dict[str, Any]]) -> None:
        search_id, rows = first[0]["data"]["search_id"], first[-1]["data"]["results"][:3]
        with farol.http() as http:
            for verdict, status in (("false_positive", 201), ("correct", 200), ("false_positive", 200)):
                for row in rows:
                    said = {"search_id": search_id, "bid_id": row["id"], "user_verdict": verdict}
                    assert http.post("/v1/feedback", json=said).status_code == status
            found = http.get("/v1/admin/feedback/patterns", params={"sector": "alimentacao"}, timeout=60).json()
            at = {"search_id": search_id, "bid_id": rows[0]["id"]}
            assert [http.delete("/v1/feedback", params=at).status_code for _ in range(2)] == [204, 404]
        assert found["feedback_read"] == 3
        (patterns,) = found["patterns"]
        assert patterns["sector"] == "alimentacao"


class TestWhatIf:
    def test_judges_the_bids_of_past_searches_again(
        self, farol: Farol, first: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        counts = first[-1]["data"]["search"]["counts"]
        narrow = tmp_path / "alimentacao.yaml"
        narrow.write_text("sector: alimentacao\nstrong: [arroz tipo]\nvalue_range: {min: 1000, max: 100000000}\n")
        done = farol.run("catalogue", "what-if", str(narrow), first[0]["data"]["search_id"], "--json")
        assert done.returncode == 0, done.stderr
        *turned, total = (json.loads(line) for line in done.stdout.splitlines())
        assert (total["searches"], total["bids"]) == (1, counts["fetched"])
        assert total["left_out"] == sum(not each["taken_in"] for each in turned) > counts["accepted"] // 2


class TestDoctor:
    def test_finds_a_running_farol_well(self, farol: Farol) -> None:
        done = farol.run("doctor", "--json")
        findings = {line["check"]: line for line in map(json.loads, done.stdout.splitlines())}
        assert findings["farol"]["level"] == "ok"
        assert findings["catálogo"]["message"] == "30 setores."
        assert done.returncode == 0


class TestProcesses:
    def test_starts_a_killed_service_again_and_searches_on(self, tmp_path: Path) -> None:
        farol = start(tmp_path, "--processes")
        try:
            before = farol.pids
            expected = {
                "supervisor",
                "nats",
                "simulators",
                "gateway",
                "coordinator",
                "cache",
                "classifier",
                "fetcher",
                "reporter",
            }
            assert before.keys() == expected
            for service in ("coordinator", "fetcher", "cache", "classifier", "reporter"):
                os.kill(before[service], signal.SIGKILL)
            result = farol.search("--uf", "SP", "--sector", "vestuario")[-1]["data"]
            assert result["search"]["coverage"]["coverage_pct"] == 100
            assert result["total"] > 0
            assert result["spreadsheet"]
            after = farol.pids
            assert {name for name in before if before[name] != after[name]} == {
                "coordinator", "fetcher", "cache", "classifier", "reporter"
            }  # fmt: skip
        finally:
            end(farol)


class TestRunOnce:
    def test_shows_an_example_and_ends_with_its_exit_code(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "farol", "up", "--sources", "recorded", "--port", "0", "--example", "--once"),
                *("--data-dir", str(tmp_path)),
            ],
            capture_output=True, text=True, timeout=200, env=environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Busca concluída" in done.stdout
        [path] = [line.removeprefix("Planilha: ") for line in done.stdout.splitlines() if line.startswith("Planilha: ")]
        assert Path(path).exists()
