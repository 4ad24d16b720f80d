from classifier.domain.items import inspect, looked_at, ruled_by_items
from classifier.domain.lens import OwnTerms
from classifier.domain.relevance import Judge
from contracts.classification import AcceptedBid, RejectedBid, RejectReason, SightedBid, UncertainBid, Zone
from contracts.fetch import Item
from contracts.samples import NOW, bid
from contracts.verdict import Confidence, Lens, RelevanceSource, Verdict

LENS = Lens(sector="vestuario")
OPEN = UncertainBid(
    sighted=SightedBid(bid=bid(1), seen_at=NOW, live=True),
    zone=Zone.ZERO_MATCH,
    verdict=Verdict(
        relevance_source=RelevanceSource.RULES_WITHOUT_LLM, confidence=Confidence.LOW, confidence_score=50, density=0
    ),
)


def items(*texts: str, **more: str) -> list[Item]:
    return [Item.model_validate({"numero": n, "descricao": text, **more}) for n, text in enumerate(texts)]


def verdict_on(judge: Judge, *texts: str, lens: Lens = LENS) -> AcceptedBid | RejectedBid | None:
    own = OwnTerms(lens.terms, judge.grammarian) if lens.terms else None
    return ruled_by_items(inspect(items(*texts), lens, judge=judge, own=own), OPEN)


class TestItemsRule:
    def test_accept_where_more_than_half_match(self, judge: Judge) -> None:
        accepted = verdict_on(judge, "CAMISETA MALHA PV TAM M", "Calça brim", "BANANA PRATA")
        assert isinstance(accepted, AcceptedBid)
        verdict = accepted.verdict
        assert verdict.relevance_source is RelevanceSource.ITEM_INSPECTION
        assert (verdict.confidence, verdict.confidence_score) == (Confidence.HIGH, 90)
        assert verdict.evidence == ("CAMISETA MALHA PV TAM M", "Calça brim")
        assert verdict.reasons[0].startswith("2 de 3 itens inspecionados")
        assert verdict.trace[-1] == "items:2/3"

    def test_leave_open_where_half_or_fewer_match(self, judge: Judge) -> None:
        assert verdict_on(judge, "Camiseta", "Banana") is None

    def test_reject_where_none_matches(self, judge: Judge) -> None:
        rejected = verdict_on(judge, "Banana prata", "Arroz tipo 1")
        assert isinstance(rejected, RejectedBid)
        assert (rejected.reason, rejected.id) == (RejectReason.ITEMS, OPEN.sighted.bid.id)

    def test_stand_in_what_they_leave_open_once_however_often_they_are_looked_at(self, judge: Judge) -> None:
        found = inspect(items("Camiseta", "Banana"), LENS, judge=judge, own=None)
        left = looked_at(found, OPEN)
        assert left.verdict.trace == ("item:camiseta", "items:1/2")
        assert left.verdict.reasons == ("1 de 2 itens inspecionados é do que se busca: “Camiseta”.",)
        assert looked_at(found, left) == left
        assert looked_at(inspect((), LENS, judge=judge, own=None), OPEN) == OPEN

    def test_leave_open_what_has_no_items(self, judge: Judge) -> None:
        assert verdict_on(judge) is None

    def test_match_own_terms_too(self, judge: Judge) -> None:
        assert isinstance(verdict_on(judge, "Muda de girassol", lens=Lens(terms=("girassol",))), AcceptedBid)


class TestSignals:
    def test_are_the_ncm_of_the_sector(self, judge: Judge) -> None:
        found = inspect(items("Lote 7, conforme anexo", ncm="61091000"), LENS, judge=judge, own=None)
        assert (found.matching, found.signals) == (1, ("ncm:61",))
        assert inspect(items("Lote 7, conforme anexo", ncm="84"), LENS, judge=judge, own=None).matching == 0

    def test_are_a_unit_with_a_size(self, judge: Judge) -> None:
        lens = LENS
        assert inspect(items("Lote 7 TAM G", unidade="Peça"), lens, judge=judge, own=None).signals == ("unit+size",)
        assert inspect(items("Lote 7", unidade="Peça"), lens, judge=judge, own=None).matching == 0
        assert inspect(items("Lote 7 TAM G", unidade="Litro"), lens, judge=judge, own=None).matching == 0
