from datetime import timedelta

from contracts.classification import AcceptedBid, ArbitrateBids, Arbitrated
from contracts.fold import SearchState
from contracts.places import UF
from contracts.samples import NOW, SEARCH_ID, bid, judged, verdict
from contracts.subjects import MAX_MESSAGE_BYTES
from contracts.verdict import Lens
from coordinator.domain.arbitrations import ORDER_SIZE, arbitrations

LENS = Lens(sector="vestuario")
BY = NOW + timedelta(seconds=10)


def state_of(*numbers: int) -> SearchState:
    state = SearchState(SEARCH_ID)
    state.apply(1, judged("a", uf=UF.SP, accepted=(900,), uncertain=numbers))
    return state


def asked(orders: tuple[ArbitrateBids, ...]) -> list[str]:
    return [each.sighted.bid.id for order in orders for each in order.bids]


class TestArbitrations:
    def test_order_nothing_without_a_budget_or_without_open_bids(self):
        assert arbitrations(state_of(1, 2), LENS, budget=0, by=BY) == ()
        assert arbitrations(state_of(), LENS, budget=20, by=BY) == ()

    def test_order_the_densest_first_within_the_budget(self):
        state = state_of(1, 2, 3)
        dense = judged("b", uncertain=(4,))
        (each,) = dense.uncertain
        state.apply(2, dense.model_copy(update={"uncertain": (each.model_copy(update={"verdict": verdict(0.04)}),)}))
        assert asked(arbitrations(state, LENS, budget=2, by=BY)) == [bid(4).id, bid(1).id]

    def test_split_into_orders_that_any_message_bound_lets_through(self):
        orders = arbitrations(state_of(*range(1, 26)), LENS, budget=25, by=BY)
        assert [len(order.bids) for order in orders] == [ORDER_SIZE, ORDER_SIZE, 5]
        assert len({order.batch for order in orders}) == 3
        assert all(len(order.model_dump_json()) < MAX_MESSAGE_BYTES for order in orders)

    def test_are_the_same_for_the_same_state(self):
        assert arbitrations(state_of(2, 1), LENS, budget=5, by=BY) == arbitrations(
            state_of(1, 2), LENS, budget=5, by=BY
        )

    def test_spend_no_more_when_a_search_is_taken_over(self):
        state = state_of(*range(1, 31))
        first = arbitrations(state, LENS, budget=20, by=BY)
        bids = tuple(AcceptedBid(sighted=each.sighted, verdict=each.verdict) for each in first[0].bids)
        state.apply(2, Arbitrated(search_id=SEARCH_ID, batch=first[0].batch, accepted=bids))
        assert len(asked(arbitrations(state, LENS, budget=20, by=BY))) == 10
