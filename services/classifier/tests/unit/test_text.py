import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.domain.text import form_of, normal_form, words_of

PORTUGUESE = st.text(alphabet="abcçãáâéêíóõôúüABCÇÃÁÉÍÓÚ 0123-,.;/()ºª–“”\n\t", max_size=120)


class TestNormalForm:
    @pytest.mark.parametrize(
        ("plural", "singular"),
        [
            ("veiculos", "veiculo"), ("computadores", "computador"), ("materiais", "material"), ("moveis", "movel"),
            ("licitacoes", "licitacao"), ("paes", "pao"), ("imagens", "imagem"), ("redes", "rede"), ("luzes", "luz"),
            ("gases", "gas"), ("uteis", "util"), ("arvores", "arvore"), ("lencois", "lencol"),
        ],
    )  # fmt: skip
    def test_takes_a_plural_and_its_singular_for_one(self, plural: str, singular: str) -> None:
        assert normal_form(plural) == normal_form(singular)

    @pytest.mark.parametrize("word", ["onibus", "lapis", "gas", "mes", "epi", "4x4", "s10", "saas"])
    def test_leaves_short_words_figures_and_invariable_ones(self, word: str) -> None:
        assert normal_form(word) == word


class TestWordsOf:
    def test_is_blind_to_accents_and_case(self) -> None:
        assert words_of("AQUISIÇÃO DE MÓVEIS").line == words_of("aquisicao de movel").line == "aquisicao movel"

    def test_leaves_out_the_platforms_mark(self) -> None:
        words = words_of("[LICITANET] - Aquisição de pães")
        assert words.line == "aquisicao pao"
        assert words.literal(0, 2) == "Aquisição de pães"

    def test_reads_over_numbers_unless_asked_to_keep_them(self) -> None:
        text = "locação de 2 (dois) veículos"
        assert words_of(text).line == "locacao veiculo"
        assert words_of(text, numbers=True).line == "locacao 2 dois veiculo"

    def test_keeps_offsets_right_over_ligatures_and_combining_marks(self) -> None:
        text = unicodedata.normalize("NFD", "aquisição de ﬁltros e pães")
        words = words_of(text)
        assert words.line == "aquisicao filtro pao"
        assert unicodedata.normalize("NFC", words.literal(2, 2)) == "ﬁltros"
        assert unicodedata.normalize("NFC", words.literal(4, 4)) == "pães"

    def test_of_an_empty_text_are_none(self) -> None:
        assert words_of("").line == words_of(" .,; ").line == ""

    @given(PORTUGUESE)
    def test_each_stands_where_it_says(self, text: str) -> None:
        words = words_of(text)
        assert [words_of(words.literal(i, i)).forms for i in range(len(words.forms))] == [(f,) for f in words.forms]

    @given(st.text(max_size=200))
    def test_of_any_text_are_literal_pieces_of_it_in_order(self, text: str) -> None:
        words = words_of(text)
        ends = [0]
        for start, end in words.spans:
            assert ends[-1] <= start < end <= len(text)
            ends.append(end)

    @given(PORTUGUESE)
    def test_do_not_depend_on_case_or_accents(self, text: str) -> None:
        bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
        assert form_of(text.upper()) == form_of(text.lower()) == form_of(bare)
