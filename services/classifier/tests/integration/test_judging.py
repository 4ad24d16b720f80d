"""The service on a real bus: commands in, facts out, whatever the process went through."""

import asyncio
from datetime import UTC, datetime, timedelta

from classifier.app import build
from classifier.settings import ClassifierSettings
from contracts.classification import JudgeBids, Judged, SightedBid
from contracts.places import UF
from contracts.subjects import JUDGE, JUDGED
from contracts.values import Licitacao, Modalidade, Source, pncp_id
from contracts.verdict import Lens
from servicekit.bus import Bus

SEARCH = "0123456789abcdef0123456789abcdef"
ASKED = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
PATIENCE = timedelta(seconds=30)


def command(batch: str, texts: list[str], lens: Lens, *, deadline: datetime) -> JudgeBids:
    bids = tuple(
        SightedBid(
            bid=Licitacao(
                id=pncp_id(cnpj="12345678000195", sequencial=n, ano=2026),
                source=Source.PNCP,
                uf=UF.SP,
                orgao="Prefeitura",
                modalidade=Modalidade.PREGAO_ELETRONICO,
                modalidade_nome="Pregão - Eletrônico",
                objeto=text,
                data_publicacao=ASKED,
            ),
            seen_at=ASKED,
            live=True,
        )
        for n, text in enumerate(texts, start=1)
    )
    return JudgeBids(
        search_id=SEARCH, batch=batch, source=Source.PNCP, uf=UF.SP, bids=bids, lens=lens, deadline=deadline
    )


async def facts(bus: Bus, count: int) -> list[Judged]:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while len(stored := await bus.history(SEARCH)) < count:  # noqa: ASYNC110 - the log is on a real server
            await asyncio.sleep(0.02)
    return [JUDGED.decode(message.body) for message in stored]


class TestClassifier:
    async def test_answers_each_command_once_even_late_and_repeated(self, bus_url: str) -> None:
        service = build(ClassifierSettings(nats_url=bus_url))
        asker = Bus(url=bus_url, service="cache")
        await service.start()
        await asker.start()
        try:
            late = command(
                "pncp-SP-1", ["Aquisição de uniformes", "Pavimentação"], Lens(sector="vestuario"), deadline=ASKED
            )
            own = command("pncp-SP-2", ["Compra de girassóis"], Lens(terms=("girassol",)), deadline=ASKED)
            for number, asked in enumerate((late, own, late)):
                await asker.publish(JUDGE.message(asked, dedup=f"{asked.batch}:{number}"))
            judged = {fact.batch: fact for fact in await facts(asker, 2)}
            last = command("pncp-SP-3", ["Aquisição de uniformes"], Lens(sector="vestuario"), deadline=ASKED)
            await asker.publish(JUDGE.message(last, dedup="pncp-SP-3:0"))
            everything = await facts(asker, 3)
        finally:
            await service.stop()
            await asker.stop()
        assert [len(judged["pncp-SP-1"].accepted), len(judged["pncp-SP-1"].rejected)] == [1, 1]
        assert judged["pncp-SP-2"].accepted[0].verdict.evidence == ("girassóis",)
        assert sorted(fact.batch for fact in everything) == ["pncp-SP-1", "pncp-SP-2", "pncp-SP-3"]
