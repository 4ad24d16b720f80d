import pytest

from contracts.classification import AcceptedBid, RejectedBid, RejectReason
from contracts.samples import NOW, bid, sighted
from contracts.verdict import Confidence, RelevanceSource, Verdict
from gateway.domain.standing import standing_in_search
from gateway.domain.telling import told


class TestTold:
    @pytest.mark.parametrize(
        ("step", "words"),
        [
            ("term:uniforme escolar", "Termo do setor encontrado: “uniforme escolar”."),
            ("own:girassol", "Termo da busca encontrado: “girassol”."),
            ("density:0.0800", "Densidade calculada: 8%."),
            ("density:0.0345", "Densidade calculada: 3,5%."),
            ("zone:high", "Muitos termos (acima de 5%): aceita por regra."),
            ("zone:standard", "Quantidade média de termos (2% a 5%)."),
            ("zone:conservative", "Poucos termos (até 2%): tratada com cautela."),
            ("rejection:locação", "Termo que exclui: “locação”."),
            ("co-occurrence: uniforme + fachada", "“uniforme” junto de “fachada” indica outro assunto."),
            ("aside:pneu", "“pneu” aparece só de passagem."),
            ("hidden:farda", "“farda” faz parte de uma expressão de outro assunto."),
            ("unnamed_before:9", "9 palavras antes do primeiro termo não são do setor."),
            ("generic", "O objeto deixa em aberto o que se compra."),
            ("no_match", "Nenhum termo procurado aparece."),
            ("item:camiseta", "Um item cita “camiseta”."),
            ("ncm:6109", "Um item tem NCM do setor (6109)."),
            ("unit+size", "Um item tem unidade e tamanho do setor."),
            ("items:2/5", "Itens inspecionados: 2 de 5 são do que se busca."),
            ("llm:2:85", "Avaliada por IA, com confiança de 85%."),
        ],
    )
    def test_has_words_for_every_rule(self, step: str, words: str) -> None:
        assert told((step,)) == (words,)

    def test_shows_a_rule_without_words_as_it_is(self) -> None:
        assert told(("new:rule", "generic")) == ("new:rule", "O objeto deixa em aberto o que se compra.")


class TestStanding:
    def test_tells_the_steps_of_what_is_shown_in_their_order(self) -> None:
        verdict = Verdict(
            relevance_source=RelevanceSource.ITEM_INSPECTION, confidence=Confidence.HIGH, confidence_score=90,
            density=0.03, trace=("term:camiseta", "items:3/4"),
        )  # fmt: skip
        standing = standing_in_search(
            {bid(1).id: AcceptedBid(sighted=sighted(1), verdict=verdict)}, bid(1).id, final=True
        )
        assert standing is not None
        assert standing.steps == (
            "Termo do setor encontrado: “camiseta”.", "Itens inspecionados: 3 de 4 são do que se busca.",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("reason", "detail", "steps"),
        [
            (RejectReason.CO_OCCURRENCE, "co-occurrence: a + b", ("“a” junto de “b” indica outro assunto.",)),
            (RejectReason.EXCLUSION, "locação", ("O termo que pesou: “locação”.",)),
            (RejectReason.ITEMS, "o único item não é do que se busca", ("O único item não é do que se busca",)),
            (RejectReason.ESFERA, "M", ()),
            (RejectReason.NO_MATCH, "", ()),
        ],
    )
    def test_tells_what_left_a_bid_out(self, reason: RejectReason, detail: str, steps: tuple[str, ...]) -> None:
        rejected = RejectedBid(id=bid(1).id, seen_at=NOW, reason=reason, detail=detail)
        standing = standing_in_search({bid(1).id: rejected}, bid(1).id, final=True)
        assert standing is not None
        assert standing.steps == steps
