import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.classification import AcceptedBid, SightedBid
from contracts.places import UF
from contracts.samples import NOW, verdict
from contracts.values import Licitacao, Modalidade, Source, pcp_id
from contracts.when import from_brasilia
from coordinator.domain.merge import merge

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
