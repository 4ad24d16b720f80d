"""D01 on the whole system: what an objeto leaves open its items decide, within the search's budget."""

import pytest

from contracts.subjects import fact_topic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FAST = {"PNCP_RATE_PER_SECOND": "50", "PCP_RATE_PER_SECOND": "50"}


class TestItemInspection:
    def test_decides_what_the_objeto_leaves_open_and_spends_twenty_bids_at_most(self, start_farol):
        farol = start_farol(**FAST)
        search_id = farol.ask(ufs=["SP", "RJ", "MG", "PA"], sector="insumos_saude")
        state = farol.until_over(search_id)
        stored = farol.facts(search_id)
        facts = [topic.decode(each.body) for each in stored if (topic := fact_topic(each.subject)) is not None]
        fetched = [fact for fact in facts if type(fact).__name__ == "ItemsFetched"]
        orders = [f for f in facts if type(f).__name__ == "Arbitrated" and f.batch.startswith("items-")]
        decided = [a for order in orders for a in order.accepted]

        assert 0 < len(fetched) <= 20
        assert any(fact.items for fact in fetched)
        assert decided or any(order.rejected for order in orders)
        assert all(a.verdict.relevance_source == "item_inspection" for a in decided)
        assert all((a.verdict.confidence, a.verdict.confidence_score) == ("high", 90) for a in decided)
        texts = {fact.bid_id: [item.descricao for item in fact.items or ()] for fact in fetched}
        for each in decided:
            said = [each.sighted.bid.objeto, *texts[each.sighted.bid.id]]
            assert all(any(quote in text for text in said) for quote in each.verdict.evidence)
        assert state["counts"]["uncertain"] == 0
