import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from simulators.faults import Fault, Kind, RateLimit, Source
from simulators.server import Simulator

TODAY = date(2026, 11, 20)
LIST = "/v1/contratacoes/publicacao"
PARAMS = {
    "dataInicial": "20261111",
    "dataFinal": "20261120",
    "codigoModalidadeContratacao": "6",
    "uf": "SP",
    "pagina": "1",
    "tamanhoPagina": "50",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Simulator]:
    async with Simulator(today=TODAY) as sim:
        yield sim


@pytest_asyncio.fixture(loop_scope="module")
async def sim(running: Simulator) -> AsyncIterator[Simulator]:
    running.hits.clear()
    yield running
    running.set_faults()
    running.set_rates()


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


def page(sim: Simulator, **changed: str) -> httpx.Request:
    return httpx.Request("GET", f"{sim.pncp_consulta_url}{LIST}", params={**PARAMS, **changed})


async def ended(sim: Simulator) -> None:
    async with asyncio.timeout(5):
        while not all(hit.took for hit in sim.hits):  # noqa: ASYNC110 - the log rings no bell
            await asyncio.sleep(0.01)


@pytest.mark.asyncio(loop_scope="module")
class TestSources:
    async def test_serve_pages_items_and_files_of_the_same_bid(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        listed = await http.send(page(sim))
        assert listed.headers["content-type"] == "application/json"
        bid = listed.json()["data"][0]
        key = f"/v1/orgaos/{bid['orgaoEntidade']['cnpj']}/compras/{bid['anoCompra']}/{bid['sequencialCompra']}"
        by_id = await http.get(f"{sim.pncp_consulta_url}{key}")
        assert by_id.json()["objetoCompra"] == bid["objetoCompra"]
        moved = await http.get(f"{sim.pncp_api_url}{key}")
        assert (moved.status_code, moved.headers["location"]) == (301, f"/api/consulta{key}")
        assert (await http.get(f"{sim.pncp_consulta_url}{key}/itens")).status_code == 404
        items = await http.get(f"{sim.pncp_api_url}{key}/itens?tamanhoPagina=500")
        assert (await http.get(f"{sim.pncp_api_url}{key}/itens/quantidade")).json() == len(items.json())
        one = await http.get(f"{sim.pncp_api_url}{key}/itens/{items.json()[0]['numeroItem']}")
        assert one.json() == items.json()[0]
        assert (await http.get(f"{sim.pncp_api_url}{key}/arquivos")).status_code in {200, 404}

    async def test_serve_the_national_listing_and_its_items(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        params = {"dataInicial": "2026-11-11", "dataFinal": "2026-11-20", "tipoData": "1", "pagina": "1"}
        listing = (await http.get(f"{sim.pcp_url}/v2/licitacao/processos", params=params)).json()
        assert len(listing["result"]) == 10
        route = f"{sim.pcp_url}/v2/licitacao/{listing['result'][0]['codigoLicitacao']}"
        assert (await http.get(f"{route}/itens")).json()["itens"]["result"]
        assert (await http.get(f"{route}/documentos")).status_code == 500
        assert (await http.get(f"{route}/edital")).status_code == 401

    async def test_answer_the_same_bytes_in_two_simulators_of_one_day(
        self, sim: Simulator, http: httpx.AsyncClient
    ) -> None:
        async with Simulator(today=TODAY) as other:
            assert (await http.send(page(sim))).content == (await http.send(page(other))).content

    async def test_log_every_hit_with_what_it_asked_for(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        await http.send(page(sim))
        await http.send(page(sim, uf="RJ", tamanhoPagina="9"))
        hits = sim.hits.of("pncp", "publicacao")
        assert [(hit.asked.uf, hit.asked.modalidade, hit.asked.page, hit.status) for hit in hits] == [
            ("SP", 6, 1, 200),
            ("RJ", 6, 1, 400),
        ]
        assert sim.hits.answered_twice() == []


@pytest.mark.asyncio(loop_scope="module")
class TestFaults:
    async def test_strike_only_where_they_are_told(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_faults(Fault(kind=Kind.HTML_503, source=Source.PNCP, uf="SP", modalidade=6, page=2))
        statuses = [
            (await http.send(request)).status_code for request in (page(sim), page(sim, pagina="2"), page(sim, uf="RJ"))
        ]
        assert statuses == [200, 503, 200]

    async def test_hang_until_the_client_leaves(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_faults(Fault(kind=Kind.HANG))
        with pytest.raises(httpx.ReadTimeout):
            await http.get(f"{sim.pncp_consulta_url}{LIST}", params=PARAMS, timeout=0.1)
        await ended(sim)
        (hit,) = sim.hits
        assert (hit.status, hit.client_gone, hit.faults) == (0, True, (Kind.HANG,))

    async def test_close_the_connection_when_the_hang_is_over(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_faults(Fault(kind=Kind.HANG, seconds=0.05))
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await http.send(page(sim))
        await ended(sim)
        assert [hit.client_gone for hit in sim.hits] == [False]

    async def test_reset_the_connection(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_faults(Fault(kind=Kind.RESET, times=1))
        with pytest.raises(httpx.ReadError):
            await http.send(page(sim))
        assert (await http.send(page(sim))).status_code == 200

    async def test_refuse_connections_and_take_them_again_on_the_same_port(
        self, sim: Simulator, http: httpx.AsyncClient
    ) -> None:
        before = sim.pncp_url
        assert (await http.send(page(sim))).status_code == 200
        sim.set_faults(Fault(kind=Kind.REFUSED, source=Source.PNCP))
        async with httpx.AsyncClient() as newcomer:
            with pytest.raises(httpx.ConnectError):
                await newcomer.send(page(sim))
        assert (await http.get(f"{sim.pcp_url}/v2/licitacao/processos")).status_code == 200
        sim.set_faults()
        assert (await http.send(page(sim))).status_code == 200
        assert sim.pncp_url == before

    async def test_drip_the_right_body(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        whole = (await http.send(page(sim))).content
        sim.set_faults(Fault(kind=Kind.DRIP, seconds=0.2))
        pieces = []
        async with http.stream("GET", f"{sim.pncp_consulta_url}{LIST}", params=PARAMS) as dripping:
            pieces = [piece async for piece in dripping.aiter_raw()]
        assert b"".join(pieces) == whole
        assert len(pieces) > 5

    async def test_cut_the_json(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_faults(Fault(kind=Kind.TRUNCATED))
        cut = await http.send(page(sim))
        assert cut.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            cut.json()

    async def test_break_off_in_the_middle_of_the_body(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_faults(Fault(kind=Kind.CUT_OFF, times=1))
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await http.send(page(sim))
        assert (await http.send(page(sim))).status_code == 200

    async def test_delay_before_the_right_answer(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_faults(Fault(kind=Kind.LATENCY, seconds=0.05, spread=0.01), Fault(kind=Kind.LATENCY, seconds=0.05))
        assert (await http.send(page(sim))).status_code == 200
        (hit,) = sim.hits
        assert hit.took >= 0.1

    async def test_limit_the_rate_with_the_real_page(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        sim.set_rates(RateLimit(source=Source.PNCP, requests=5, window_s=30, retry_after=7))
        replies = [await http.send(page(sim)) for _ in range(7)]
        assert [reply.status_code for reply in replies] == [200] * 5 + [429] * 2
        assert replies[-1].headers["retry-after"] == "7"
        assert "Limite de Requisições Excedido" in replies[-1].text
        assert (await http.get(f"{sim.pcp_url}/v2/licitacao/processos")).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
class TestControl:
    async def test_sets_faults_and_reads_and_clears_hits_while_running(
        self, sim: Simulator, http: httpx.AsyncClient
    ) -> None:
        scenario = {"faults": [{"kind": "no_content", "uf": "SP"}]}
        assert (await http.put(f"{sim.control_url}/_sim/faults", json=scenario)).status_code == 200
        assert (await http.send(page(sim))).status_code == 204
        seen = (await http.get(f"{sim.control_url}/_sim/hits")).json()
        assert (seen["total"], seen["hits"][0]["uf"], seen["hits"][0]["status"]) == (1, "SP", 204)
        assert (await http.delete(f"{sim.control_url}/_sim/hits")).json()["total"] == 0
        assert (await http.get(f"{sim.control_url}/_sim")).json()["pcp_url"] == sim.pcp_url

    async def test_names_what_is_wrong_with_a_scenario_and_keeps_the_old_one(
        self, sim: Simulator, http: httpx.AsyncClient
    ) -> None:
        refused = await http.put(f"{sim.control_url}/_sim/faults", json={"faults": [{"kind": "nonsense"}]})
        assert refused.status_code == 422
        assert refused.json()[0]["loc"] == ["faults", 0, "kind"]
        assert (await http.send(page(sim))).status_code == 200


class TestLifetime:
    async def test_stops_at_once_with_requests_hanging_and_leaves_nothing(self) -> None:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with httpx.AsyncClient(timeout=30) as http:
            async with Simulator(
                today=TODAY, faults=[Fault(kind=Kind.HANG), Fault(kind=Kind.HANG, source=Source.PCP)]
            ) as sim:
                assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
                waiting = [asyncio.create_task(http.send(page(sim, pagina=str(number)))) for number in range(20)]
                async with asyncio.timeout(5):
                    while len(sim.hits) < 20:  # noqa: ASYNC110 - the log rings no bell
                        await asyncio.sleep(0.01)
                async with asyncio.timeout(1):
                    await sim.stop()
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, httpx.TransportError) for result in results)
        assert not any(hit.client_gone for hit in sim.hits)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others

    async def test_serves_from_the_command_line_with_a_scenario_file(self, tmp_path: Path) -> None:
        scenario = tmp_path / "faults.json"
        scenario.write_text(json.dumps({"faults": [{"kind": "html_504", "endpoint": "publicacao"}]}))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulators",
            "--today",
            "2026-11-20",
            "--faults",
            str(scenario),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60), httpx.AsyncClient() as http:
                urls = dict([(await process.stdout.readline()).decode().strip().split("=", 1) for _ in range(4)])
                reply = await http.get(f"{urls['PNCP_CONSULTA_URL']}{LIST}", params=PARAMS)
                assert reply.status_code == 504
                assert (await http.get(f"{urls['CONTROL_URL']}/hits")).json()["total"] == 1
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
