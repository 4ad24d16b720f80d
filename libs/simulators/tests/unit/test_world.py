import re
from collections import Counter
from datetime import date, timedelta
from functools import cache
from itertools import islice

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.pcp_fill import utc
from simulators.recordings import ibge_codes, recorded, uf_names
from simulators.world import World, copied_cnpj, moved, publication_days

TODAY = date(2026, 11, 20)
TEN_DAYS = (TODAY - timedelta(9), TODAY)
CHECK_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


@cache
def world() -> World:
    return World(today=TODAY)


def dump(of: World) -> bytes:
    return orjson.dumps(
        [[of.bid(compra, by_id=True) for compra in of.compras], [of.listing(processo) for processo in of.processos]]
    )


class TestWorld:
    def test_gives_the_same_bytes_for_the_same_day_and_seed(self) -> None:
        assert dump(World(today=TODAY)) == dump(world())

    def test_gives_other_bytes_for_another_seed(self) -> None:
        assert dump(World(today=TODAY, seed=1)) != dump(world())

    def test_holds_several_hundred_records_of_all_27_ufs_in_ten_days(self) -> None:
        found = world().published_between(*TEN_DAYS, uf=None, modalidade=None)
        assert len(found) > 700
        assert {compra.uf for compra in found} == set(uf_names())
        assert Counter(compra.modalidade for compra in found).keys() >= {4, 5, 6, 7, 8}

    def test_publishes_on_every_one_of_the_last_thirty_days_and_never_after_today(self) -> None:
        days = {compra.published[:10] for compra in world().compras}
        assert days >= {(TODAY - timedelta(back)).isoformat() for back in range(30)}
        assert max(days) <= TODAY.isoformat()

    def test_keeps_real_ids_and_texts(self) -> None:
        real = {row["numeroControlePNCP"]: row["objetoCompra"] for row in recorded("pncp_contratacoes_partial")}
        served = {bid["numeroControlePNCP"]: bid["objetoCompra"] for bid in map(world().bid, world().compras)}
        assert real.items() <= served.items()

    def test_moves_all_dates_of_a_bid_by_the_same_days(self) -> None:
        rows = {row["numeroControlePNCP"]: row for row in recorded("pncp_contratacoes")}
        for bid in map(world().bid, world().compras):
            if row := rows.get(bid["numeroControlePNCP"]):
                shift = (
                    date.fromisoformat(bid["dataPublicacaoPncp"][:10])
                    - date.fromisoformat(row["dataPublicacaoPncp"][:10])
                ).days
                for field in ("dataAberturaProposta", "dataEncerramentoProposta"):
                    assert bid[field] == moved(row[field], shift)

    def test_updates_nothing_after_today_nor_before_its_publication(self) -> None:
        end = f"{TODAY.isoformat()}T23:59:59"
        for bid in map(world().bid, world().compras):
            for field in ("dataInclusao", "dataAtualizacao", "dataAtualizacaoGlobal"):
                assert bid["dataPublicacaoPncp"] <= bid[field] <= end

    def test_homologates_nothing_that_still_takes_proposals(self) -> None:
        for compra in world().open_until(TODAY + timedelta(400), uf=None, modalidade=None):
            assert world().bid(compra)["valorTotalHomologado"] is None

    def test_lists_as_open_only_what_closes_between_today_and_the_last_day(self) -> None:
        found = world().open_until(TODAY + timedelta(5), uf="SP", modalidade=6)
        assert found
        assert all(TODAY.isoformat() <= (c.closes or "")[:10] <= (TODAY + timedelta(5)).isoformat() for c in found)

    def test_finds_by_day_uf_and_modalidade_what_a_plain_filter_finds(self) -> None:
        first, last = TODAY - timedelta(12), TODAY - timedelta(3)
        plain = [
            c
            for c in world().compras
            if c.uf == "MG" and c.modalidade == 6 and first.isoformat() <= c.published[:10] <= last.isoformat()
        ]
        assert list(world().published_between(first, last, uf="MG", modalidade=6)) == plain

    def test_leaves_by_id_fields_out_of_the_list(self) -> None:
        compra = world().compras[0]
        extra = world().bid(compra, by_id=True).keys() - world().bid(compra).keys()
        assert {"orcamentoSigilosoCodigo", "orcamentoSigilosoDescricao", "existeResultado"} <= extra

    def test_keeps_both_sides_of_a_real_pair_in_agreement_within_the_last_week(self) -> None:
        listings = {processo.codigo: world().listing(processo) for processo in world().processos}
        bids = {bid["numeroControlePNCP"]: bid for bid in map(world().bid, world().compras)}
        seen = 0
        for pair in recorded("cross_source_pairs"):
            if bid := bids.get(pair["numeroControlePNCP"]):
                listing = listings[pair["codigoLicitacao"]]
                seen += 1
                assert listing["dataHoraInicioPropostas"] == utc(bid["dataAberturaProposta"])
                assert listing["dataHoraFinalPropostas"] == utc(bid["dataEncerramentoProposta"])
                assert listing["unidadeCompradora"]["uf"] == bid["unidadeOrgao"]["ufSigla"]
                assert listing["resumo"][:60] in bid["objetoCompra"]
                assert bid["dataPublicacaoPncp"][:10] >= (TODAY - timedelta(6)).isoformat()
        assert seen == 5

    def test_writes_the_other_side_of_every_bid_that_links_to_pcp(self) -> None:
        linked = [
            b
            for b in map(world().bid, world().compras)
            if "portaldecompraspublicas.com.br/processos" in str(b["linkSistemaOrigem"])
        ]
        codes = {processo.codigo for processo in world().processos}
        assert len(linked) > 250
        assert all(int(bid["linkSistemaOrigem"].rstrip("/").rsplit("-", 1)[1]) in codes for bid in linked)

    def test_calls_a_listing_open_exactly_until_its_proposals_end(self) -> None:
        for listing in map(world().listing, world().processos):
            final = listing["dataHoraFinalPropostas"]
            if final and final[:10] < TODAY.isoformat():
                assert listing["statusProcessoPublico"]["descricao"] != "Recebendo Propostas"

    @pytest.mark.parametrize("scale", [2, 3])
    def test_copies_every_record_under_keys_of_its_own(self, scale: int) -> None:
        big = World(today=TODAY, scale=scale)
        assert len(big.compras) == scale * len(world().compras)
        assert len(big.by_key) == len(big.compras)
        assert len(big.by_codigo) == len(big.processos) == scale * len(world().processos)
        for compra in islice(big.compras, 0, None, 97):
            bid = big.bid(compra)
            assert bid["numeroControlePNCP"].startswith(f"{bid['orgaoEntidade']['cnpj']}-1-")
            if (link := bid["linkSistemaOrigem"]) and "portaldecompraspublicas.com.br/processos" in link:
                processo = big.by_codigo[int(link.rsplit("-", 1)[1])]
                assert big.listing(processo)["dataHoraFinalPropostas"] == utc(bid["dataEncerramentoProposta"])

    def test_refuses_no_copies(self) -> None:
        with pytest.raises(ValueError, match="scale"):
            World(today=TODAY, scale=0)


class TestPublicationDays:
    @given(st.integers(0, 3_000), st.dates(date(2025, 1, 1), date(2027, 12, 31)))
    def test_gives_each_record_a_day_of_the_last_45(self, count: int, today: date) -> None:
        days = publication_days(count, today)
        assert len(days) == count
        assert all(timedelta(0) <= today - day < timedelta(45) for day in days)

    def test_brings_the_few_of_a_small_uf_into_the_last_eight_days(self) -> None:
        assert min(publication_days(2, TODAY)) > TODAY - timedelta(8)


class TestCopiedCnpj:
    @given(st.integers(0, 10**8 - 1), st.integers(1, 500))
    def test_carries_right_check_digits(self, root: int, copy: int) -> None:
        cnpj = copied_cnpj(f"{root:08}000100", copy)
        for length in (12, 13):
            weights = CHECK_WEIGHTS[13 - length :]
            rest = sum(int(digit) * weight for digit, weight in zip(cnpj[:length], weights, strict=True)) % 11
            assert int(cnpj[length]) == (0 if rest < 2 else 11 - rest)

    def test_leaves_the_original_as_it_is(self) -> None:
        assert copied_cnpj("00001636000158", 0) == "00001636000158"


class TestRecordings:
    def test_hold_no_email_and_no_cpf(self) -> None:
        for name in ("pncp_contratacoes", "pncp_contratacoes_partial", "pncp_itens_partial", "pcp_processos_partial"):
            text = orjson.dumps(recorded(name)).decode()
            assert not re.findall(r"[\w.+-]+@[\w-]+\.\w+", text)
            assert not re.findall(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)", text)

    def test_know_every_municipio_code_by_seven_digits(self) -> None:
        assert len(ibge_codes()) > 5_500
        assert all(len(code) == 7 for code in ibge_codes().values())
