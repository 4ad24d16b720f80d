import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.brasileiro import reais
from contracts.classification import AcceptedBid, SightedBid
from contracts.places import UF
from contracts.samples import NOW, verdict
from contracts.values import Licitacao, Modalidade, Source, pcp_id
from contracts.when import from_brasilia
from coordinator.domain.merge import SAME_VALUE, merge

PAIRS = json.loads((Path(__file__).parents[1] / "fixtures" / "pairs.json").read_text())
TEXT = "Aquisição de gêneros alimentícios para a merenda escolar da rede municipal de ensino"


def accepted(bid: Licitacao) -> AcceptedBid:
    return AcceptedBid(sighted=SightedBid(bid=bid, seen_at=NOW, live=True), verdict=verdict())


def pncp(**fields) -> AcceptedBid:
    return accepted(
        Licitacao(
            **{
                "id": "00059311000126-1-000028/2026",
                "source": Source.PNCP,
                "uf": UF.SC,
                "municipio": "Erval Velho",
                "orgao": "MUNICIPIO DE ERVAL VELHO",
                "modalidade": Modalidade.PREGAO_ELETRONICO,
                "modalidade_nome": "Pregão - Eletrônico",
                "numero": "28",
                "objeto": TEXT,
                "data_publicacao": NOW,
                **fields,
            }
        )
    )


def pcp(**fields) -> AcceptedBid:
    return pncp(**{"id": pcp_id(455954), "source": Source.PCP, "numero": "28/2026", **fields})


def real(pair) -> tuple[AcceptedBid, AcceptedBid]:
    ours, theirs = pair["pncp"], pair["pcp"]
    unit, buyer = ours["unidadeOrgao"], theirs["unidadeCompradora"]
    published = from_brasilia(datetime.fromisoformat(ours["dataPublicacaoPncp"]))
    return (
        pncp(
            id=ours["numeroControlePNCP"],
            uf=unit["ufSigla"],
            municipio=unit["municipioNome"],
            numero=ours["numeroCompra"],
            objeto=ours["objetoCompra"].removeprefix("[Portal de Compras Públicas] - "),
            link_origem=ours["linkSistemaOrigem"],
            valor_estimado=Decimal(str(ours["valorTotalEstimado"])) or None,
            data_publicacao=published,
        ),
        pcp(
            id=pcp_id(theirs["codigoLicitacao"]),
            uf=buyer["uf"],
            municipio=buyer["cidade"],
            numero=theirs["numero"],
            objeto=theirs["resumo"],
            objeto_truncado=theirs["resumo"].endswith("..."),
            data_publicacao=published,
        ),
    )


def spelled(number: int, year: int) -> st.SearchStrategy[str]:
    """One number as buyers write it."""
    return st.sampled_from(
        [f"{number}/{year}", f"{number:03d}/{year}", f"{number:05d}-{year}", f"{number}/{year % 100:02d}"]
    )


def told_lots(lots: frozenset[int]) -> str:
    """`lote 2`, `lotes 1, 2 e 3`."""
    *some, last = [f"{lot:02d}" for lot in sorted(lots)]
    return f"lotes {', '.join(some)} e {last}" if some else f"lote {last}"


NUMBERS = st.tuples(st.integers(1, 9999), st.integers(2024, 2026))
LOTS = st.frozensets(st.integers(1, 40), min_size=1, max_size=4)
CODES = st.integers(1, 999_999)
MONEY = st.decimals(1, 10**8, places=2)


def link_to(code: int) -> str:
    return f"https://www.portaldecompraspublicas.com.br/processos/SC/x-1796/CPMP-{code}"


class TestMerge:
    def test_joins_every_real_pair_by_its_link(self):
        rows = merge([bid for pair in PAIRS for bid in real(pair)])

        assert len(PAIRS) == 5
        assert {(row.id, row.also_in) for row in rows} == {
            (pair["pncp"]["numeroControlePNCP"], (pcp_id(pair["pcp"]["codigoLicitacao"]),)) for pair in PAIRS
        }

    @given(st.permutations([bid for pair in PAIRS for bid in real(pair)]))
    def test_does_not_depend_on_the_order(self, bids):
        assert merge(bids) == merge([bid for pair in PAIRS for bid in real(pair)])

    def test_keeps_one_row_and_fills_what_it_lacks(self):
        closing = NOW + timedelta(days=9)
        (row,) = merge([pncp(municipio=None), pcp(data_encerramento=closing)])

        assert (row.source, row.municipio, row.data_encerramento) == (Source.PNCP, "Erval Velho", closing)

    def test_reads_a_truncated_text_as_its_beginning(self):
        assert len(merge([pncp(), pcp(objeto=TEXT[:60] + "...", objeto_truncado=True)])) == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"numero": "29/2026"},
            {"numero": "28/2025"},
            {"numero": None},
            {"uf": UF.PR},
            {"municipio": "Schroeder"},
            {"data_publicacao": NOW - timedelta(days=20)},
            {"objeto": "Contratação de serviços de pavimentação asfáltica em vias urbanas do município"},
        ],
    )
    def test_never_joins_what_differs(self, other):
        assert len(merge([pncp(), pcp(**other)])) == 2

    def test_leaves_a_bid_with_two_candidates_alone(self):
        assert len(merge([pncp(), pcp(), pcp(id=pcp_id(455955))])) == 3

    def test_gives_one_listing_to_one_row_only(self):
        link = "https://www.portaldecompraspublicas.com.br/processos/SC/x-1796/CPMP-2-2026-2026-455954"
        rows = merge([pncp(link_origem=link), pncp(id="00059311000126-1-000029/2026", link_origem=link), pcp()])

        assert [len(row.also_in) for row in rows] == [1, 0]

    @given(code=CODES, number=NUMBERS, data=st.data(), linked=st.booleans())
    def test_joins_one_number_however_it_is_written(self, code, number, data, linked):
        ours = pncp(numero=data.draw(spelled(*number)), link_origem=link_to(code) if linked else None)
        theirs = pcp(id=pcp_id(code), numero=data.draw(spelled(*number)))

        assert [row.also_in for row in merge([ours, theirs])] == [(pcp_id(code),)]

    @given(code=CODES, number=NUMBERS, other=NUMBERS, data=st.data(), linked=st.booleans())
    def test_never_joins_different_numbers(self, code, number, other, data, linked):
        assume(number != other)
        ours = pncp(numero=data.draw(spelled(*number)), link_origem=link_to(code) if linked else None)
        theirs = pcp(id=pcp_id(code), numero=data.draw(spelled(*other)))

        assert len(merge([ours, theirs])) == 2

    @given(code=CODES, lots=LOTS, others=LOTS, linked=st.booleans())
    def test_joins_the_same_lots_and_never_different_ones(self, code, lots, others, linked):
        ours = pncp(objeto=f"{TEXT}, {told_lots(lots)}, do exercício", link_origem=link_to(code) if linked else None)
        theirs = pcp(id=pcp_id(code), objeto=f"{TEXT}, {told_lots(others)}, do exercício")

        assert len(merge([ours, theirs])) == (1 if lots == others else 2)

    @given(lots=LOTS, others=LOTS)
    def test_compares_the_lots_that_a_cut_text_still_tells(self, lots, others):
        ours = pncp(objeto=f"{TEXT}, {told_lots(lots)}, do exercício")
        theirs = pcp(objeto=f"{TEXT}, {told_lots(others)}...", objeto_truncado=True)
        whole = frozenset(sorted(others)[:-1])  # the last may have been cut itself

        assert len(merge([ours, theirs])) == (1 if whole <= lots else 2)

    @pytest.mark.parametrize(
        ("text", "other"), [("lote II", "lote 2"), ("LOTE Nº 02", "lote 2"), ("lotes I e IV", "lotes 1 e 4")]
    )
    def test_reads_lots_as_buyers_write_them(self, text, other):
        rows = merge([pncp(objeto=f"{TEXT} - {text}, do exercício"), pcp(objeto=f"{TEXT} - {other}, do exercício")])
        wrong = merge([pncp(objeto=f"{TEXT} - {text}, do exercício"), pcp(objeto=f"{TEXT} - lote 3, do exercício")])

        assert (len(rows), len(wrong)) == (1, 2)

    def test_leaves_two_bids_with_one_candidate_alone(self):
        assert len(merge([pncp(), pncp(id="00059311000126-1-000029/2026"), pcp()])) == 3

    @given(ours=MONEY, theirs=MONEY)
    def test_notes_values_that_are_more_than_5_percent_apart(self, ours, theirs):
        (row,) = merge([pncp(valor_estimado=ours), pcp(valor_estimado=theirs)])
        noted = [reason for reason in row.reasons if "divergente" in reason]

        assert row.valor_estimado == ours
        if abs(ours - theirs) <= SAME_VALUE * max(ours, theirs):
            assert not noted
        else:
            assert noted == [f"valor estimado divergente entre as publicações: {reais(ours)} e {reais(theirs)}"]

    def test_says_nothing_of_a_value_that_only_one_tells(self):
        (row,) = merge([pncp(valor_estimado=None), pcp(valor_estimado=Decimal(100))])

        assert row.valor_estimado == Decimal(100)
        assert not [reason for reason in row.reasons if "divergente" in reason]
