from datetime import timedelta

from contracts.classification import AcceptedBid, Arbitrated
from contracts.fetch import Item, ItemsFetched
from contracts.fold import SearchState
from contracts.places import UF
from contracts.samples import NOW, SEARCH_ID, bid, judged
from contracts.subjects import MAX_MESSAGE_BYTES
from contracts.values import Source
from contracts.verdict import Lens
from coordinator.domain.arbitrations import arbitrations
from coordinator.domain.inspections import ITEMS_LOOKED_AT, inspections, item_orders, sampled

LENS = Lens(sector="vestuario")
BY = NOW + timedelta(seconds=10)


def state_of(*numbers: int) -> SearchState:
    state = SearchState(SEARCH_ID)
    state.apply(1, judged("a", uf=UF.SP, accepted=(900,), uncertain=numbers))
    return state


def came(number: int, *texts: str, why: str | None = None) -> ItemsFetched:
    items = tuple(Item(numero=n, descricao=text) for n, text in enumerate(texts))
    return ItemsFetched(search_id=SEARCH_ID, bid_id=bid(number).id, items=None if why else items, why=why)


class TestInspections:
    def test_ask_each_source_once_for_its_bids_within_the_budget(self):
        (order,) = inspections(state_of(*range(1, 31)), budget=20, tenant="acme", by=BY)
        assert (order.source, len(order.bid_ids), order.tenant, order.deadline) == (Source.PNCP, 20, "acme", BY)

    def test_ask_nothing_without_budget_or_open_bids(self):
        assert inspections(state_of(1), budget=0, tenant="t", by=BY) == ()
        assert inspections(state_of(), budget=20, tenant="t", by=BY) == ()

    def test_spend_no_more_when_a_search_is_taken_over(self):
        state = state_of(*range(1, 31))
        for number in range(1, 16):
            state.apply(number + 1, came(number, why="http.503"))
        (order,) = inspections(state, budget=20, tenant="t", by=BY)
        assert len(order.bid_ids) == 5
        assert not set(order.bid_ids) & state.items.keys()


class TestItemOrders:
    def test_hand_over_only_what_came(self):
        state = state_of(1, 2, 3)
        state.apply(2, came(1, "camiseta", "calça"))
        state.apply(3, came(2, why="timeout.items"))
        state.apply(4, came(3))
        (order,) = item_orders(state, LENS, by=BY)
        assert [each.sighted.bid.id for each in order.bids] == [bid(1).id]
        assert [item.descricao for item in dict(order.items)[bid(1).id]] == ["camiseta", "calça"]
        assert order.ask_model is False

    def test_fit_any_message_bound_however_long_the_lists_are(self):
        state = state_of(*range(1, 12))
        for number in range(1, 12):
            state.apply(number + 1, came(number, *["ção" * 400] * 500))
        orders = item_orders(state, LENS, by=BY)
        assert sum(len(order.bids) for order in orders) == 11
        assert all(len(order.to_json()) < MAX_MESSAGE_BYTES for order in orders)

    def test_do_not_count_as_questions_to_the_model(self):
        state = state_of(*range(1, 31))
        state.apply(2, came(1, "camiseta"))
        (order,) = item_orders(state, LENS, by=BY)
        bids = tuple(AcceptedBid(sighted=each.sighted, verdict=each.verdict) for each in order.bids)
        state.apply(3, Arbitrated(search_id=SEARCH_ID, batch=order.batch, accepted=bids))
        asked = [each.sighted.bid.id for o in arbitrations(state, LENS, budget=20, by=BY) for each in o.bids]
        assert len(asked) == 20
        assert bid(1).id not in asked

    def test_go_with_the_question_to_the_model_where_they_left_a_bid_open(self):
        state = state_of(1)
        state.apply(2, came(1, "camiseta", "banana", "pera"))
        (order,) = arbitrations(state, LENS, budget=20, by=BY)
        assert len(dict(order.items)[bid(1).id]) == 3


class TestSampled:
    def test_takes_items_evenly_over_a_long_list(self):
        items = tuple(Item(numero=n, descricao="x") for n in range(600))
        taken = sampled(items)
        assert len(taken) == ITEMS_LOOKED_AT
        assert [item.numero for item in taken][:2] == [0, 10]
        assert sampled(items[:3]) == items[:3]
