import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from classifier.adapters.catalogue_files import UnsoundCatalogue, load_catalogue
from classifier.domain.catalogue import Catalogue, Grammar, SectorRules, expand, problems
from contracts.sectors import SECTORS

RANGE = {"min": 1, "max": 2}
SCHEMA = Path(__file__).parents[2] / "schemas" / "sector-rules.schema.json"


def rules(**more: Any) -> SectorRules:
    return SectorRules.model_validate({"sector": "vestuario", "strong": ["uniforme"], "value_range": RANGE, **more})


def catalogue_of(grammar: Grammar, sectors: Mapping[str, SectorRules]) -> Catalogue:
    return Catalogue(sectors=sectors, grammar=grammar)


class TestShippedCatalogue:
    def test_is_sound(self, catalogue: Catalogue) -> None:
        assert problems(catalogue) == []

    def test_has_every_sector(self, catalogue: Catalogue) -> None:
        assert set(catalogue.sectors) == set(SECTORS)

    def test_has_at_least_five_co_occurrence_rules_for_vestuario(self, catalogue: Catalogue) -> None:
        assert len(catalogue.sectors["vestuario"].co_occurrence) >= 5

    def test_is_as_its_published_schema_says(self) -> None:
        assert json.loads(SCHEMA.read_text("utf-8")) == SectorRules.model_json_schema()

    def test_has_a_version_that_only_its_content_decides(self, catalogue: Catalogue) -> None:
        assert catalogue.version == load_catalogue().version
        changed = {**catalogue.sectors, "vestuario": catalogue.sectors["mobiliario"]}
        assert catalogue_of(catalogue.grammar, changed).version != catalogue.version


class TestExpand:
    def test_stands_for_each_combination(self) -> None:
        assert list(expand("(a|b) c (d|)")) == ["a c d", "a c", "b c d", "b c"]

    @pytest.mark.parametrize("pattern", ["(a|b|) ", "de", " ".join(["(a|b|c|d|e|f|g)"] * 4)])
    def test_is_refused_where_it_says_nothing_or_too_much(self, pattern: str) -> None:
        with pytest.raises(ValidationError):
            rules(strong=[pattern])


class TestProblems:
    def found(self, catalogue: Catalogue, **more: Any) -> list[str]:
        return problems(catalogue_of(catalogue.grammar, {**catalogue.sectors, "vestuario": rules(**more)}))

    def test_name_a_sector_without_a_file(self, catalogue: Catalogue) -> None:
        rest = {s: r for s, r in catalogue.sectors.items() if s != "obras"}
        assert problems(catalogue_of(catalogue.grammar, rest)) == ["obras: no file"]

    def test_name_a_term_in_two_lists_whatever_its_spelling(self, catalogue: Catalogue) -> None:
        assert self.found(catalogue, exclusions=["os Uniformes"]) == [
            "vestuario: 'os Uniformes' (exclusions) repeats a term of strong"
        ]

    def test_name_a_figure_that_is_never_seen(self, catalogue: Catalogue) -> None:
        assert "never seen" in self.found(catalogue, weak=["traje 70"])[0]

    def test_name_a_rule_that_cannot_fire(self, catalogue: Catalogue) -> None:
        (problem,) = self.found(catalogue, co_occurrence=[{"trigger": ["cortina"], "negative": ["fachada"]}])
        assert problem == "vestuario: co-occurrence rule 1 can never fire: no trigger stands on a term"

    def test_name_a_term_that_is_a_word_of_procurement_itself(self, catalogue: Catalogue) -> None:
        assert "any bid has" in self.found(catalogue, weak=["registros"])[0]

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ({"rejections": ["uniforme"]}, "the rejection 'uniforme'"),
            ({"co_occurrence": [{"trigger": ["uniforme"], "negative": ["escolar"]}]}, "co-occurrence rule 1"),
            ({"weak": ["computador"]}, "the same strong term of informatica"),
        ],
    )
    def test_name_a_term_that_another_rule_always_takes_away(
        self, catalogue: Catalogue, more: dict[str, Any], why: str
    ) -> None:
        found = self.found(catalogue, strong=["uniforme escolar"], **more)
        assert [each for each in found if why in each and "shadowed" in each]

    def test_let_a_rescued_term_pass(self, catalogue: Catalogue) -> None:
        rule = {"trigger": ["uniforme"], "negative": ["escolar"], "positive": ["uniforme escolar"]}
        assert self.found(catalogue, strong=["uniforme escolar"], co_occurrence=[rule]) == []

    def test_include_an_upside_down_range(self) -> None:
        with pytest.raises(ValidationError, match="min must be below max"):
            rules(value_range={"min": 2, "max": 1})


class TestLoadCatalogue:
    def test_refuses_files_that_do_not_make_a_catalogue(self, tmp_path: Path) -> None:
        (tmp_path / "_grammar.yaml").write_text(
            "{boilerplate: [], generic: [], breaks: [], attachments: []}", encoding="utf-8"
        )
        with pytest.raises(UnsoundCatalogue, match="obras: no file"):
            load_catalogue(tmp_path)

    def test_names_an_unknown_field(self, tmp_path: Path) -> None:
        (tmp_path / "obras.yaml").write_text("{sector: obras, strng: [obra]}", encoding="utf-8")
        with pytest.raises(UnsoundCatalogue, match="strng"):
            load_catalogue(tmp_path)
