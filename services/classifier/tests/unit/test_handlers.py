import asyncio
from typing import Any

import pytest

from classifier import handlers
from classifier.domain.catalogue import Catalogue
from classifier.domain.lens import OwnTermsCache
from classifier.domain.relevance import Judge
from classifier.handlers import PART_BYTES, Bench
from contracts.classification import JudgeBids, Judged, RejectReason, Zone
from contracts.subjects import JUDGED, MAX_MESSAGE_BYTES, Outgoing
from contracts.verdict import Confidence, Lens, RelevanceSource
from servicekit.bus import Delivery

UNIFORMES = Lens(sector="vestuario")


DELIVERY = Delivery(
    subject="work.classifier.judge.v1", sequence=1, attempt=1, correlation_id="c", stopping=asyncio.Event()
)


async def judged(command: JudgeBids, bench: Bench) -> list[Outgoing]:
    return [out async for out in handlers.judge(command, DELIVERY, bench=bench)]


async def only(command: JudgeBids, bench: Bench) -> Judged:
    (out,) = await judged(command, bench)
    fact: Judged = JUDGED.decode(out.body)
    return fact


class TestJudge:
    async def test_puts_every_bid_in_exactly_one_list(self, bench: Bench, make_bid: Any, make_command: Any) -> None:
        texts = [
            "Aquisição de uniformes escolares",
            "Pavimentação asfáltica de ruas",
            "Aquisição de materiais diversos",
        ]
        command = make_command([make_bid(text, number=n) for n, text in enumerate(texts, 1)], UNIFORMES)
        fact = await only(command, bench)
        assert [a.sighted.bid.objeto for a in fact.accepted] == texts[:1]
        assert [r.id for r in fact.rejected] == [command.bids[1].bid.id]
        assert [u.sighted.bid.objeto for u in fact.uncertain] == texts[2:]
        assert fact.catalogue_version == bench.judge.version

    async def test_accepts_with_confidence_95_and_literal_evidence(
        self, bench: Bench, make_bid: Any, make_command: Any
    ) -> None:
        fact = await only(
            make_command([make_bid("Registro de preços: GIRASSÓIS E UNIFORMES  ESCOLARES")], UNIFORMES), bench
        )
        verdict = fact.accepted[0].verdict
        assert (verdict.relevance_source, verdict.confidence, verdict.confidence_score) == (
            RelevanceSource.KEYWORD,
            Confidence.HIGH,
            95,
        )
        assert verdict.evidence == ("UNIFORMES  ESCOLARES",)
        assert verdict.density == 0.6667
        assert verdict.viability is not None

    async def test_marks_a_generic_bid_as_rules_without_llm(
        self, bench: Bench, make_bid: Any, make_command: Any
    ) -> None:
        fact = await only(make_command([make_bid("Aquisição de materiais diversos")], UNIFORMES), bench)
        open_bid = fact.uncertain[0]
        assert open_bid.zone is Zone.ZERO_MATCH
        assert open_bid.verdict.relevance_source is RelevanceSource.RULES_WITHOUT_LLM
        assert (open_bid.verdict.confidence, open_bid.verdict.confidence_score) == (Confidence.LOW, 50)

    async def test_leaves_viability_out_when_it_is_switched_off(
        self, bench: Bench, make_bid: Any, make_command: Any
    ) -> None:
        off = Bench(judge=bench.judge, own_terms=bench.own_terms, viability_enabled=False)
        fact = await only(make_command([make_bid("Aquisição de uniformes")], UNIFORMES), off)
        assert fact.accepted[0].verdict.viability is None

    async def test_leaves_viability_out_while_an_operator_has_switched_it_off(
        self, bench: Bench, make_bid: Any, make_command: Any
    ) -> None:
        command = make_command([make_bid("Aquisição de uniformes")], UNIFORMES)
        told = [out async for out in handlers.judge(command, DELIVERY, bench=bench, viability_on=lambda: False)]
        assert JUDGED.decode(told[0].body).accepted[0].verdict.viability is None
        assert (await only(command, bench)).accepted[0].verdict.viability is not None

    async def test_gives_the_same_bytes_and_ids_for_the_same_command(
        self, bench: Bench, make_bid: Any, make_command: Any
    ) -> None:
        command = make_command([make_bid(f"Aquisição de uniformes {n}", number=n) for n in range(1, 51)], UNIFORMES)
        first, second = await judged(command, bench), await judged(command, bench)
        assert [(o.subject, o.body, o.msg_id) for o in first] == [(o.subject, o.body, o.msg_id) for o in second]

    async def test_splits_what_one_message_cannot_carry(self, bench: Bench, make_bid: Any, make_command: Any) -> None:
        filler = " conforme edital" * 900
        command = make_command([make_bid("Aquisição de uniformes" + filler, number=n) for n in range(1, 51)], UNIFORMES)
        outs = await judged(command, bench)
        facts = [JUDGED.decode(out.body) for out in outs]
        assert len(facts) > 1
        assert [fact.part for fact in facts] == list(range(1, len(facts) + 1))
        assert {fact.parts for fact in facts} == {len(facts)}
        assert [a.sighted.bid.id for fact in facts for a in fact.accepted] == [s.bid.id for s in command.bids]
        assert max(len(out.body) for out in outs) <= PART_BYTES + 1000 < MAX_MESSAGE_BYTES
        assert len({out.msg_id for out in outs}) == len(outs)

    async def test_names_the_rule_of_a_co_occurrence(self, bench: Bench, make_bid: Any, make_command: Any) -> None:
        text = "Contratação de empresa para uniforme visual da fachada do prédio"
        fact = await only(make_command([make_bid(text)], UNIFORMES), bench)
        assert fact.rejected[0].reason is RejectReason.CO_OCCURRENCE
        assert fact.rejected[0].detail == "co-occurrence: uniforme + fachada"


class TestOwnTerms:
    async def test_finds_a_searchs_own_terms_with_figures(self, bench: Bench, make_bid: Any, make_command: Any) -> None:
        lens = Lens(terms=("diesel S10", "NBR 9050"))
        texts = ["Fornecimento de óleo diesel s10", "Aquisição de óleo diesel S500"]
        fact = await only(make_command([make_bid(t, number=n) for n, t in enumerate(texts, 1)], lens), bench)
        assert [a.verdict.evidence for a in fact.accepted] == [("diesel s10",)]
        assert [r.reason for r in fact.rejected] == [RejectReason.NO_MATCH]

    def test_holds_no_more_lenses_than_it_was_given(self, catalogue: Catalogue) -> None:
        cache = OwnTermsCache(Judge(catalogue).grammarian, size=2)
        first = cache.of(("a b",))
        cache.of(("c d",))
        assert cache.of(("a b",)) is first
        cache.of(("e f",))
        assert len(cache) == 2
        assert cache.of(("a b",)) is first

    def test_refuses_a_cache_that_holds_nothing(self, catalogue: Catalogue) -> None:
        with pytest.raises(ValueError, match="at least one"):
            OwnTermsCache(Judge(catalogue).grammarian, size=0)
