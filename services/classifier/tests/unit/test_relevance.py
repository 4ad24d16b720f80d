import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.adapters.catalogue_files import load_catalogue
from classifier.domain.catalogue import Catalogue, CoOccurrence, Grammar, SectorRules, expand
from classifier.domain.lens import OwnTerms
from classifier.domain.reading import Finding, density_of
from classifier.domain.relevance import Judge
from classifier.domain.scoring import Labelled
from contracts.classification import RejectReason, Zone


def small(**sectors: dict[str, Any]) -> Judge:
    """A judge over a few hand-written sectors."""
    common = {"value_range": {"min": 1, "max": 2}}
    return Judge(
        Catalogue(
            sectors={name: SectorRules.model_validate({"sector": name, **common, **r}) for name, r in sectors.items()},
            grammar=Grammar(
                boilerplate=("registro", "preco", "contratacao", "aquisicao", "servico", "empresa", "para", "com"),
                generic=("material", "permanente", "equipamento"),
                breaks=("para", "com", "em atendimento"),
                attachments=("do", "da", "em", "com"),
                agencies=("secretaria",),
                elsewhere=("vale refeicao",),
            ),
        )
    )


JUDGE = small(
    vestuario={
        "strong": ["uniforme", "colete"],
        "weak": ["tecido"],
        "exclusions": ["colete cervical"],
        "rejections": ["lavagem"],
        "co_occurrence": [
            {"trigger": ["uniforme"], "negative": ["fachada", "muro"], "positive": ["camisa"]},
        ],
    },
    mobiliario={"strong": ["mesa", "mobiliario"], "weak": ["movel"]},
    eventos_cultura={"strong": ["mesa de som", "palco"], "vague": ["evento"]},
)


def finding(text: str, sector: str, judge: Judge = JUDGE) -> Finding:
    return judge.finding(judge.read(text), sector)


class TestZones:
    @pytest.mark.parametrize(
        ("others", "zone"),
        [(18, None), (19, Zone.STANDARD), (49, Zone.STANDARD), (50, Zone.CONSERVATIVE), (300, Zone.CONSERVATIVE)],
    )
    def test_are_cut_at_five_and_two_percent(self, others: int, zone: Zone | None) -> None:
        text = "uniforme " + " ".join(f"outra{n}x" for n in range(others))
        found = finding(text, "vestuario")
        assert found.density == round(1 / (others + 1), 4)
        assert found.zone is zone
        assert found.settled is (zone is not Zone.CONSERVATIVE)

    def test_leave_a_generic_objeto_open(self) -> None:
        found = finding("Aquisição de material permanente para a escola", "vestuario")
        assert (found.zone, found.reject) == (Zone.ZERO_MATCH, None)

    def test_reject_an_objeto_that_names_something_else(self) -> None:
        assert finding("Aquisição de bananas", "vestuario").reject is RejectReason.NO_MATCH

    def test_leave_open_what_is_named_long_after_words_that_nobody_knows(self) -> None:
        found = finding("alfa beta gama delta para uniforme", "vestuario")
        assert found.zone is Zone.STANDARD
        assert "unnamed_before:4" in found.trace


class TestWhatIsBought:
    def test_is_not_what_it_is_bought_for(self) -> None:
        assert finding("mesa para guardar uniforme", "mobiliario").accepted
        assert finding("mesa para guardar uniforme", "vestuario").reject is RejectReason.LOW_DENSITY

    def test_is_not_the_complement_of_the_first_find(self) -> None:
        assert finding("mesa do palco", "eventos_cultura").reject is RejectReason.LOW_DENSITY

    def test_is_each_member_of_a_list(self) -> None:
        judge, text = JUDGE, "Aquisição de uniforme, mesa e palco"
        assert judge.sectors(judge.read(text)) == ["vestuario", "mobiliario", "eventos_cultura"]

    def test_is_not_a_part_of_another_sectors_longer_term(self) -> None:
        assert finding("mesa de som", "eventos_cultura").accepted
        assert finding("mesa de som", "mobiliario").reject is RejectReason.EXCLUSION

    def test_is_not_what_an_exclusion_covers(self) -> None:
        found = finding("colete cervical", "vestuario")
        assert (found.reject, found.detail) == (RejectReason.EXCLUSION, "colete")
        assert finding("colete cervical e uniforme", "vestuario").accepted

    def test_is_not_of_a_sector_that_a_phrase_rejects(self) -> None:
        assert finding("lavagem de uniforme", "vestuario").reject is RejectReason.EXCLUSION
        assert finding("uniforme para lavagem", "vestuario").accepted

    def test_gives_a_weak_term_way_to_a_strong_one_of_another_sector(self) -> None:
        assert finding("movel", "mobiliario").accepted
        assert not finding("movel e uniforme", "mobiliario").accepted

    def test_gives_a_vague_term_way_to_any_other_soon_after_it(self) -> None:
        assert finding("evento", "eventos_cultura").accepted
        assert finding("evento com uniforme", "vestuario").accepted
        assert not finding("evento com uniforme", "eventos_cultura").accepted

    def test_is_not_in_the_name_of_who_buys(self) -> None:
        judge = JUDGE
        assert judge.sectors(judge.read("Secretaria de Evento e Movel, uniforme")) == ["vestuario"]
        assert judge.sectors(judge.read("equipamento da Secretaria do Movel")) == []
        assert judge.sectors(judge.read("equipamento das secretarias: uniforme")) == ["vestuario"]

    def test_goes_on_after_brackets_that_say_how(self) -> None:
        judge = JUDGE
        assert sorted(judge.sectors(judge.read("mesa (com montagem) e uniforme"))) == ["mobiliario", "vestuario"]
        assert judge.sectors(judge.read("mesa com montagem e uniforme")) == ["mobiliario"]

    def test_is_not_hurt_by_an_ordinal_in_between(self) -> None:
        assert finding("mesa 30ª de som", "eventos_cultura").accepted

    def test_counts_a_weak_find_beside_another_only_as_a_further_thing(self) -> None:
        judge = small(
            vestuario={"strong": ["bota"], "weak": ["tecido"]}, mobiliario={"strong": ["mesa"], "weak": ["movel"]}
        )
        assert sorted(judge.sectors(judge.read("tecido e movel"))) == ["mobiliario", "vestuario"]
        assert judge.sectors(judge.read("tecido do movel")) == ["vestuario"]

    def test_is_of_no_sector_where_what_nobody_sells_leads(self) -> None:
        judge = JUDGE
        assert judge.sectors(judge.read("vale refeição e uniforme")) == []
        assert judge.sectors(judge.read("uniforme e vale refeição")) == ["vestuario"]


class TestCoOccurrence:
    def test_rejects_a_trigger_beside_a_negative_context(self) -> None:
        found = finding("uniforme fachada", "vestuario")
        assert (found.reject, found.detail) == (RejectReason.CO_OCCURRENCE, "co-occurrence: uniforme + fachada")

    def test_is_rescued_by_a_positive_signal(self) -> None:
        assert finding("uniforme camisa fachada", "vestuario").accepted

    def test_takes_the_lead_from_what_it_voids(self) -> None:
        assert finding("uniforme fachada com mesa", "mobiliario").accepted

    def test_voids_what_stands_inside_a_voided_find_too(self) -> None:
        rule = {"trigger": ["escolar"], "negative": ["muro"]}
        judge = small(vestuario={"strong": ["uniforme escolar", "uniforme"], "co_occurrence": [rule]})
        assert finding("uniforme escolar e muro", "vestuario", judge).reject is RejectReason.CO_OCCURRENCE

    def test_voids_only_the_finds_that_the_trigger_stands_on(self) -> None:
        found = finding("uniforme, colete e muro", "vestuario")
        assert found.accepted
        assert [find.term for find in found.finds] == ["colete"]

    @pytest.mark.parametrize(
        "text",
        [
            "uniformização visual e uniforme da fachada",
            "Serviço de costura de cortinas",
            "Confecção de placas e tecido para banner",
            "Tecido e confecção de enxoval hospitalar",
            "Aquisição de colete e pistola",
            "Fornecimento de luva e sonda",
            "Fantasia e nome fantasia",
            "Oficina de costura e bordado",
        ],
    )
    def test_of_vestuario_catches_each_look_alike(self, text: str, judge: Judge) -> None:
        assert not finding(text, "vestuario", judge).settled

    @pytest.mark.parametrize(
        "text",
        [
            "Uniforme escolar e pintura de fachada",
            "Costura de uniformes e cortinas",
            "Confecção de camisas e placas",
            "Aquisição de fardamento, coletes e pistolas",
            "Botas e luvas, EPI para uso com tubos",
        ],
    )
    def test_of_vestuario_lets_what_is_rescued_pass(self, text: str, judge: Judge) -> None:
        assert finding(text, "vestuario", judge).settled


SHIPPED = [(sector, n) for sector, rules in load_catalogue().sectors.items() for n in range(len(rules.co_occurrence))]
_WOVEN = ("Aquisição de {0} para {1}", "Serviço de {0} com {1}", "{1} com {0}", "{0}, {1}")


def voided_by(rule: CoOccurrence, sector: str, judge: Judge) -> list[str]:
    """Texts of a trigger and a negative context in which the rule takes the find away."""
    triggers, contexts = (
        [term for pattern in patterns for term in expand(pattern)] for patterns in (rule.trigger, rule.negative)
    )
    return [
        text
        for trigger, context, woven in itertools.product(triggers, contexts, _WOVEN)
        if judge.read(text := woven.format(trigger, context)).voided.get(sector)
        == f"co-occurrence: {trigger} + {context}"
    ]


class TestShippedCoOccurrence:
    @pytest.mark.parametrize(("sector", "number"), SHIPPED)
    def test_fires_and_is_rescued(self, sector: str, number: int, judge: Judge) -> None:
        rule = judge.catalogue.sectors[sector].co_occurrence[number]
        voided = voided_by(rule, sector, judge)
        assert voided
        rescues = [term for pattern in rule.positive for term in expand(pattern)]
        for text in voided[:3]:
            assert not finding(text, sector, judge).settled
            assert all(sector not in judge.read(f"{text}, {rescue}").voided for rescue in rescues)


class TestShippedRules:
    @pytest.mark.parametrize(
        ("text", "sectors"),
        [
            ("[LICITANET] - AQUISIÇÃO DE GÊNEROS ALIMENTÍCIOS PARA A MERENDA ESCOLAR", ["alimentacao"]),
            ("Secretaria de Obras: aquisição de computadores e notebooks", ["informatica"]),
            ("Pavimentação asfáltica em diversas ruas", ["infra_viaria"]),
            ("Locação de 2 (dois) veículos tipo van sem motorista", ["transporte"]),
            ("Aquisição de pneus e câmaras de ar para a frota da educação", ["veiculos"]),
            ("Contratação de empresa para construção de creche", ["obras"]),
            ("Fornecimento de oxigênio medicinal", ["insumos_saude"]),
            ("Vale alimentação por meio de cartão magnético", []),
        ],
    )
    def test_name_what_is_bought(self, text: str, sectors: list[str], judge: Judge) -> None:
        assert judge.sectors(judge.read(text)) == sectors


class TestFinding:
    @given(st.text(max_size=300))
    def test_stays_within_its_bounds_on_any_text(self, text: str) -> None:
        reading = JUDGE.read(text)
        for sector in JUDGE.catalogue.sectors:
            found = JUDGE.finding(reading, sector)
            assert 0 <= found.density <= 1
            assert (found.reject is None) or (found.zone is None)

    def test_rests_on_literal_text_on_every_real_bid(self, judge: Judge, labelled: list[Labelled]) -> None:
        for bid in labelled[::8]:
            reading = judge.read(bid.objeto)
            for sector in judge.catalogue.sectors:
                found = judge.finding(reading, sector)
                assert found.accepted == (found.density > 0.05 and found.zone is None and found.reject is None)
                assert all(reading.words.literal(f.first, f.last) in bid.objeto for f in found.finds)

    def test_of_more_finds_is_never_less_dense(self) -> None:
        reading = JUDGE.read("uniforme colete alfa beta")
        finds = JUDGE.finding(reading, "vestuario").finds
        assert density_of(reading, finds[:1]) < density_of(reading, finds)


class TestOwnTerms:
    def test_count_wherever_they_stand(self) -> None:
        _, found = OwnTerms(("girassol",), JUDGE.grammarian).find("mesa para pintura de girassol")
        assert [find.term for find in found.finds] == ["girassol"]
        assert found.density > 0.05
