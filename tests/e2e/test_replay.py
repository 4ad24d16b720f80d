"""Replay against the whole of Farol: what happened comes out again, and differently only where it should."""

import asyncio
import json
import random
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import classifier
from classifier.adapters.catalogue_files import load_catalogue
from classifier.domain.relevance import Judge
from classifier.domain.verdicts import judge_bid
from contracts.classification import AcceptedBid, UncertainBid
from contracts.places import UFS
from contracts.sectors import SECTORS
from coordinator.domain.close import settle
from farol import replay
from farol.client import FarolError
from farol.logbook import LogbookError, logbook
from farol.recording import Recording, write
from farol.replaying import answer_again, compare
from farol.sandbox import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SAMPLE = 4
WHOLE = 100
SEED = 20261122


@pytest.fixture(scope="module")
def farol(start_farol: Callable[..., Any]) -> Any:
    return start_farol(PNCP_RATE_PER_SECOND="200", PCP_RATE_PER_SECOND="200")


def wishes(count: int) -> Iterator[dict[str, Any]]:
    """Searches of every kind: sectors and own terms, one UF to five, filters, orders, both sources or one."""
    dice = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    for number in range(count):
        wish: dict[str, Any] = {"ufs": dice.sample([str(uf) for uf in UFS], 1 + number % 5)}
        wish |= {"terms": ["merenda", "uniforme escolar"], "sector": None} if number % 5 == 4 else {}
        wish.setdefault("sector", dice.choice(sorted(SECTORS)))
        wish["sort"] = dice.choice(["relevance", "viability", "closing", "published", "value"])
        if number % 4 == 1:
            wish |= {"value_min": "10000", "value_max": "900000"}
        if number % 4 == 2:
            wish |= {"home_uf": "SP", "sources": [dice.choice(["pncp", "pcp"])]}
        if number % 4 == 3:
            wish["scope"] = "open"
        yield wish


def recorded(farol: Any, search_ids: list[str]) -> list[Recording]:
    async def go() -> list[Recording]:
        async with logbook(farol.endpoint["nats_url"]) as book:
            return [await book.recording(each, whole=True) for each in search_ids]

    return asyncio.run(go())


def asked(farol: Any, *bodies: dict[str, Any]) -> list[str]:
    ids = []
    for body in bodies:
        ids.append(farol.ask(**body))
        farol.until_closed(ids[-1])
    return ids


def in_sandbox(recordings: list[Recording], *, catalogue: Path | None = None) -> list[Any]:
    async def go() -> list[Any]:
        async with Sandbox(catalogue=catalogue) as box:
            return [await box.run(each) for each in recordings]

    return asyncio.run(go())


def command(farol: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "farol", "replay", *arguments, "--data-dir", str(farol.data_dir)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def is_repeated_without_a_difference(farol: Any, count: int) -> None:
    recordings = recorded(farol, asked(farol, *wishes(count)))
    assert sum(each.state().counts().accepted for each in recordings) > count, "nothing to compare"
    for each in recordings:
        assert [str(d) for d in compare(each, answer_again(each))] == [], each.requested.query
    for each, outcome in zip(recordings, in_sandbox(recordings), strict=True):
        assert [str(d) for d in compare(each, outcome.answer)] == [], each.requested.query


class TestReplay:
    def test_finds_no_difference_in_what_today_s_code_has_done(self, farol: Any):
        is_repeated_without_a_difference(farol, SAMPLE)

    @pytest.mark.soak
    @pytest.mark.timeout(1800)
    def test_finds_no_difference_in_a_hundred_searches(self, farol: Any):
        is_repeated_without_a_difference(farol, WHOLE)

    def test_finds_with_a_changed_catalogue_exactly_what_the_change_is_about(self, farol: Any, tmp_path: Path):
        (recording,) = recorded(
            farol, asked(farol, {"ufs": ["SP", "GO"], "sector": "alimentacao", "sources": ["pncp"]})
        )
        catalogue = tmp_path / "catalogue"
        shutil.copytree(Path(str(classifier.__file__)).parent / "catalogue", catalogue)
        file = catalogue / "alimentacao.yaml"
        rules = yaml.safe_load(file.read_text())
        rules["rejections"] = [*rules.get("rejections", []), "registro precos"]
        file.write_text(yaml.safe_dump(rules, allow_unicode=True))
        accepted_now = accepted_by(catalogue, recording)

        (outcome,) = in_sandbox([recording], catalogue=catalogue)

        answer = recording.answer()
        assert answer is not None
        gone = {row.id: row for row in answer.results if row.id not in accepted_now}
        assert gone
        assert len(gone) < len(answer.results)
        assert all(re.search(r"\bregistros? de precos?\b", plain(row.objeto)) for row in gone.values())
        found = compare(recording, outcome.answer)
        assert {each.where for each in found if each.kind == "left"} == set(gone)
        rest = {(each.kind, each.where) for each in found if each.kind != "left"}
        assert rest <= {("field", "counts"), ("field", "catalogue_version"), ("field", "llm_pending")}
        assert outcome.kept == 0

    def test_tells_a_search_as_it_comes_and_as_it_stood_at_any_step(self, farol: Any):
        search_id = farol.ask(ufs=["RO"], sector="alimentacao")
        code, told = said(farol, search_id, lambda asked: replay.steps(asked, follow=True))
        steps = [json.loads(line) for line in told]
        assert code == 0
        assert (steps[0]["fact"], steps[-1]["fact"]) == ("requested", "closed")
        assert (steps[-1]["progress"], steps[-1]["events"]) == (100, ["closed"])
        assert [step["sequence"] for step in steps] == [fact.sequence for fact in farol.facts(search_id)]
        planned = next(step for step in steps if step["fact"] == "planned")
        _, (stood,) = said(farol, search_id, lambda asked: replay.at(asked, planned["sequence"]))
        view = json.loads(stood)["view"]
        assert (view["status"], view["counts"]["fetched"]) == ("running", 0)

    def test_says_what_differs_and_ends_with_4(self, farol: Any, tmp_path: Path):
        (recording,) = recorded(farol, asked(farol, {"ufs": ["GO"], "sector": "alimentacao"}))
        judged = next(fact for fact in recording.facts if ".judged." in fact.subject and b'"accepted":[{' in fact.body)
        without = tuple(fact for fact in recording.facts if fact is not judged)
        write(replace(recording, facts=without), tmp_path / "busca.farol")
        told = command(farol, str(tmp_path / "busca.farol"), "--diff")
        assert told.returncode == 4, told.stderr
        assert "saiu" in told.stdout

    def test_carries_a_search_in_a_file_into_an_empty_farol(
        self, farol: Any, start_farol: Callable[..., Any], tmp_path: Path
    ):
        (search_id,) = asked(farol, {"ufs": ["GO", "DF"], "sector": "alimentacao"})
        farol.until_archived(search_id)
        file = tmp_path / "busca.farol"
        said(farol, search_id, lambda asked: replay.save(asked, file))
        other = start_farol()
        said(other, str(file), replay.load)

        other.until_archived(search_id)  # its coordinator found it closed, filed it away and let it go
        assert other.results(search_id) == farol.results(search_id)
        assert other.state(search_id) == farol.state(search_id)
        spreadsheet = f"/v1/searches/{search_id}/spreadsheet"
        assert other.http.get(spreadsheet).content == farol.http.get(spreadsheet).content
        assert said(other, search_id, replay.diff) == (0, [])
        with pytest.raises(LogbookError, match="já está"):
            said(other, str(file), replay.load)

    def test_refuses_in_words_what_it_cannot_replay(self, farol: Any, tmp_path: Path):
        other = tmp_path / "other.gz"
        other.write_bytes(b"not a recording")
        for what, why in (("0" * 32, "Não há busca"), ("abc", "não é o identificador"), (str(other), "gzip")):
            with pytest.raises(FarolError, match=why):
                said(farol, what, replay.diff)


def said(farol: Any, what: str, ask: Callable[[replay.Asked], Coroutine[Any, Any, int]]) -> tuple[int, list[str]]:
    """The exit code of `farol replay` and its JSON lines."""
    lines: list[str] = []
    asked = replay.Asked(what=what, nats_url=farol.endpoint["nats_url"], say=lines.append, as_json=True)
    return asyncio.run(ask(asked)), lines


def accepted_by(catalogue: Path, recording: Recording) -> set[str]:
    """What the judge alone says of every bid of a search, with no bus, coordinator or sandbox in between."""
    judge, requested = Judge(load_catalogue(catalogue)), recording.requested
    state = recording.state()
    sighted = [each.sighted for each in state.accepted()] + [each.sighted for each in state.uncertain()]
    sighted += recording.rejected.values()
    outcomes = [
        judge_bid(
            each, lens=requested.query.lens, judge=judge, own=None, now=requested.deadline, viability_enabled=True
        )
        for each in sighted
    ]  # fmt: skip
    settled = [settle(each) if isinstance(each, UncertainBid) else each for each in outcomes]
    return {each.sighted.bid.id for each in settled if isinstance(each, AcceptedBid)}


def plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
