"""What a user is promised on a bad day, tried on the whole system (issue 2's list)."""

import concurrent.futures
import json
from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from contracts.places import UFS
from contracts.subjects import SEARCH

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

HTTP, MODALIDADE, SLACK = 4, 7, 0.5
SHORT_CHAIN = {
    "PNCP_TIMEOUT_HTTP": str(HTTP),
    "PNCP_TIMEOUT_PER_MODALITY": str(MODALIDADE),
    "PNCP_TIMEOUT_PER_UF": "12",
    "PNCP_TIMEOUT_PER_UF_DEGRADED": "14",
}
"""The same chain, shorter, so that a test need not wait for a minute."""
FAST = {"PNCP_RATE_PER_SECOND": "50", "PCP_RATE_PER_SECOND": "50"}


@pytest.fixture(scope="module")
def farol(start_farol):
    """One for every test that leaves no faults behind."""
    return start_farol(**FAST)


def pages_asked(farol):
    """How often each page was asked for: the URL without its host says which it is."""
    return Counter((hit["source"], hit["url"]) for hit in (flat(h) for h in farol.hits()))


def flat(hit):
    """The simulator nests what was asked; a test wants one level."""
    return {**hit, **hit.get("asked", {})}


class TestAHangingModalidade:
    def test_is_cut_with_its_pages_kept_while_the_others_complete(self, start_farol):
        farol = start_farol(**FAST, **SHORT_CHAIN)
        farol.set_faults(
            {"kind": "hang", "source": "pncp", "endpoint": "publicacao", "uf": "SP", "modalidade": 6, "page": 2}
        )
        search_id = farol.ask(ufs=["SP", "SE"])
        state = farol.until_over(search_id)
        ufs = {uf["uf"]: uf for uf in state["coverage"]["ufs_status_detail"]}
        sp6 = [flat(h) for h in farol.hits() if flat(h)["uf"] == "SP" and flat(h)["modalidade"] == 6]

        assert state["status"] == "degraded"
        assert "SP" in state["degraded"]["reason"]
        assert (ufs["SE"]["coverage_pct"], ufs["SP"]["status"]) == (100, "partial")
        assert ufs["SP"]["slices_asked"] - ufs["SP"]["slices_complete"] == 10
        assert ufs["SP"]["records"] > 50
        begun = [hit["at"] for hit in sp6 if hit["page"] == 1]
        assert len(begun) <= 2  # a failed UF is tried once more (T04.3)
        for hit in (hit for hit in sp6 if hit["page"] == 2):
            its_claim = max(at for at in begun if at <= hit["at"])
            assert hit["took"] <= HTTP + SLACK
            assert hit["at"] + hit["took"] <= its_claim + MODALIDADE + SLACK


class TestBothSourcesDead:
    def test_says_so_in_words_that_are_no_empty_list(self, start_farol):
        farol = start_farol(**FAST, **SHORT_CHAIN)
        farol.set_faults({"kind": "refused", "source": "pncp"}, {"kind": "refused", "source": "pcp"})
        search_id = farol.ask(ufs=["SP", "SE"])
        state = farol.until_over(search_id)

        assert (state["status"], state["response_state"]) == ("empty_failure", "empty_failure")
        assert state["operational_state"] == "unavailable"
        assert state["coverage"]["coverage_pct"] == 0
        assert "indisponíveis" in state["message"]
        assert "Nenhuma licitação" not in json.dumps(state, ensure_ascii=False)
        reply = farol.http.get(f"/v1/searches/{search_id}/results")
        assert (reply.status_code, reply.json()["results"]) == (200, [])


class TestTheSameSlices:
    def test_are_not_asked_for_again_by_the_same_search(self, farol):
        first = farol.until_over(farol.ask(ufs=["PR", "BA"]))
        farol.clear_hits()
        second = farol.until_over(farol.ask(ufs=["PR", "BA"]))

        assert farol.hits() == []
        assert first["counts"] == second["counts"]
        assert second["coverage"]["coverage_pct"] == 100
        assert second["coverage"]["freshness"] == "cached_fresh"

    def test_are_asked_for_once_by_two_searches_at_once(self, farol):
        farol.clear_hits()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            ids = list(pool.map(lambda _: farol.ask(ufs=["MG", "ES"]), range(2)))
        one, other = (farol.until_over(search_id) for search_id in ids)

        assert max(pages_asked(farol).values()) == 1
        assert one["counts"] == other["counts"]
        assert one["coverage"]["coverage_pct"] == other["coverage"]["coverage_pct"] == 100

    def test_are_asked_for_once_by_overlapping_searches_of_different_sectors(self, farol):
        farol.clear_hits()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            food = pool.submit(farol.ask, ufs=["RJ", "GO"], sector="alimentacao")
            works = pool.submit(farol.ask, ufs=["GO", "CE"], sector="obras")
            ids = food.result(), works.result()
        states = [farol.until_over(search_id) for search_id in ids]

        assert max(pages_asked(farol).values()) == 1
        assert [state["coverage"]["coverage_pct"] for state in states] == [100, 100]
        assert all(row["uf"] in {"GO", "CE"} for row in farol.results(ids[1]))

    def test_are_asked_for_again_when_the_user_wants_fresh_ones(self, farol):
        farol.until_over(farol.ask(ufs=["SC"]))
        farol.clear_hits()
        state = farol.until_over(farol.ask(ufs=["SC"], force_refresh=True))

        assert farol.hits()
        assert state["coverage"]["freshness"] == "live"


class TestBadInput:
    WRONG = (
        ({"ufs": ["ZZ"], "sector": "obras"}, "#/ufs/0"),
        ({"ufs": [], "sector": "obras"}, "#/ufs"),
        ({"ufs": ["SP"], "sector": "obras", "date_from": "2026-02-10", "date_to": "2026-02-01"}, "#/date_from"),
        ({"ufs": ["SP"], "sector": "obras", "date_from": "2025-01-01", "date_to": "2026-02-05"}, "#/date_from"),
        ({"ufs": ["SP"], "sector": "obras", "cor": "azul"}, "#/cor"),
        ({"ufs": ["SP"], "sector": "obras", "scope": "open", "date_from": "2026-02-01"}, "#/date_from"),
    )
    UNREADABLE = ((b"{" + b" " * 1_000_000 + b"}", 413), (b'{"ufs": ["SP"', 400), (b"\xff\xfe", 400))

    @pytest.mark.parametrize(("body", "pointer"), WRONG)
    def test_is_refused_by_the_name_of_its_field(self, farol, body, pointer):
        reply = farol.http.post("/v1/searches", json=body)

        assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
        assert pointer in {error["pointer"] for error in reply.json()["errors"]}

    @pytest.mark.parametrize(("content", "status"), UNREADABLE)
    def test_is_refused_when_it_cannot_be_read(self, farol, content, status):
        reply = farol.http.post("/v1/searches", content=content, headers={"Content-Type": "application/json"})

        assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
        assert reply.json()["code"]

    def test_publishes_nothing(self, farol):
        """The log of every search grows by what a good request publishes and by nothing else."""
        farol.until_closed(farol.ask())
        before = farol.last_sequence(SEARCH)
        bodies = [json.dumps(body).encode() for body, _ in self.WRONG] + [content for content, _ in self.UNREADABLE]
        replies = [
            farol.http.post("/v1/searches", content=body, headers={"Content-Type": "application/json"})
            for body in bodies
        ]

        assert {reply.status_code for reply in replies} == {400, 413, 422}
        assert farol.last_sequence(SEARCH) == before > 0


class TestALogOfTheWholeCountry:
    def test_has_at_most_fifty_lines_and_all_of_e01(self, start_farol):
        # Traces are made and none is kept: their ids are there all the same.
        farol = start_farol(**FAST, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_SAMPLING_RATE="0")
        before = len(farol.lines())
        search_id = farol.ask(ufs=[str(uf) for uf in UFS])
        state = farol.until_over(search_id)
        farol.stop()
        lines = [line for line in farol.lines()[before:] if line.get("event") not in {"service.stopped", "farol_down"}]
        events = Counter(line["event"] for line in lines)

        assert state["status"] == "completed"
        assert len(lines) <= 50
        assert events["uf_complete"] == 27
        assert events["filter_complete"] == events["search_complete"] == 1
        by_uf = [line for line in lines if line["event"] == "uf_complete"]
        assert {line["uf"] for line in by_uf} == {str(uf) for uf in UFS}
        assert all({"duration_ms", "items_count", "total_pages", "total_items"} <= line.keys() for line in by_uf)
        of_search = [line for line in lines if "search_id" in line]
        assert len(of_search) >= 29
        assert {line["search_id"] for line in of_search} == {search_id}
        assert len({(line["correlation_id"], line["trace_id"]) for line in of_search}) == 1


class TestADayOfTheRecords:
    def test_is_the_brazilian_one(self, farol):
        """A row's publication day, in Brasília, lies in the window that was asked."""
        search_id = farol.ask(ufs=["SP", "MG"], sector="obras")
        farol.until_over(search_id)
        rows = farol.results(search_id)
        today = date.fromisoformat(datetime.now().astimezone().date().isoformat())

        assert rows
        for row in rows:
            published = (datetime.fromisoformat(row["data_publicacao"]) - timedelta(hours=3)).date()
            assert today - timedelta(days=11) <= published <= today + timedelta(days=1)


class TestWhatIsOpenToday:
    def test_is_found_whenever_it_was_published_and_nothing_that_is_closed(self, farol):
        search_id = farol.ask(ufs=["SP", "PR"], sector="obras", scope="open")
        state = farol.until_over(search_id)
        rows = farol.results(search_id)
        asked = datetime.fromisoformat(state["created_at"])

        assert (state["status"], state["coverage"]["coverage_pct"]) == ("completed", 100)
        assert rows
        assert all(datetime.fromisoformat(row["data_encerramento"]) > asked for row in rows if row["data_encerramento"])
        ten_days_ago = asked - timedelta(days=11)
        assert any(datetime.fromisoformat(row["data_publicacao"]) < ten_days_ago for row in rows)
        assert {flat(hit)["endpoint"] for hit in farol.hits() if hit["source"] == "pncp"} >= {"proposta"}
