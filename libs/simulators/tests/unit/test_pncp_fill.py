import pytest

from simulators.pncp_fill import MODALIDADES, completed, modalidade_of
from simulators.recordings import Record, recorded

LIST_FIELDS: dict[str, type | tuple[type, ...]] = {
    "numeroControlePNCP": str,
    "anoCompra": int,
    "sequencialCompra": int,
    "numeroCompra": str,
    "processo": str,
    "objetoCompra": str,
    "informacaoComplementar": (str, type(None)),
    "orgaoEntidade": dict,
    "unidadeOrgao": dict,
    "orgaoSubRogado": (dict, type(None)),
    "unidadeSubRogada": (dict, type(None)),
    "modalidadeId": int,
    "modalidadeNome": str,
    "modoDisputaId": int,
    "modoDisputaNome": str,
    "tipoInstrumentoConvocatorioCodigo": int,
    "tipoInstrumentoConvocatorioNome": str,
    "amparoLegal": dict,
    "srp": bool,
    "valorTotalEstimado": float,
    "valorTotalHomologado": (float, type(None)),
    "dataAberturaProposta": (str, type(None)),
    "dataEncerramentoProposta": (str, type(None)),
    "dataPublicacaoPncp": str,
    "dataInclusao": str,
    "dataAtualizacao": str,
    "dataAtualizacaoGlobal": str,
    "situacaoCompraId": int,
    "situacaoCompraNome": str,
    "linkSistemaOrigem": (str, type(None)),
    "linkProcessoEletronico": (str, type(None)),
    "justificativaPresencial": (str, type(None)),
    "fontesOrcamentarias": list,
    "emendaParlamentar": (bool, type(None)),
    "usuarioNome": str,
}


def flattened(**given: object) -> Record:
    return {
        "numeroControlePNCP": "00001636000158-1-000009/2026",
        "anoCompra": 2026,
        "sequencialCompra": 9,
        "objetoCompra": "AQUISIÇÃO DE LANCHES",
        "orgaoEntidade": {"cnpj": "00001636000158", "razaoSocial": "MUNICIPIO DE WANDERLANDIA"},
        "unidadeOrgao": {"ufSigla": "TO", "municipioNome": "Wanderlândia"},
        **given,
    }


class TestCompleted:
    def test_gives_every_recorded_bid_every_field_of_the_payload_in_its_type(self) -> None:
        for name in ("pncp_contratacoes", "pncp_contratacoes_partial"):
            for row in recorded(name):
                bid = completed(row, 0)
                wrong = {field for field, kind in LIST_FIELDS.items() if not isinstance(bid.get(field, ...), kind)}
                assert not wrong, (bid["numeroControlePNCP"], wrong)
                assert {"cnpj", "razaoSocial", "poderId", "esferaId"} <= bid["orgaoEntidade"].keys()
                assert len(bid["unidadeOrgao"]["codigoIbge"]) == 7
                assert len(bid["dataPublicacaoPncp"]) == 19

    def test_changes_nothing_that_the_copy_had(self) -> None:
        for row in recorded("pncp_contratacoes"):
            bid = completed(row, 0)
            filled = {"usuarioNome"}
            assert {key: bid[key] for key in row if key not in filled} == {
                key: value for key, value in row.items() if key not in filled
            }

    def test_fills_the_same_for_the_same_seed_and_otherwise_for_another(self) -> None:
        rows = recorded("pncp_contratacoes_partial")[:200]
        assert [completed(row, 1) for row in rows] == [completed(row, 1) for row in rows]
        assert [completed(row, 1) for row in rows] != [completed(row, 2) for row in rows]

    def test_cuts_nanoseconds_and_false_offsets_and_completes_minutes(self) -> None:
        bid = completed(
            flattened(
                dataPublicacaoPncp="2026-08-12T15:44:27.878963013",
                dataAberturaProposta="2026-08-13T09:00:00+00:00",
                dataEncerramentoProposta="2026-08-28T08:00",
            ),
            0,
        )
        assert bid["dataPublicacaoPncp"] == "2026-08-12T15:44:27"
        assert bid["dataAberturaProposta"] == "2026-08-13T09:00:00"
        assert bid["dataEncerramentoProposta"] == "2026-08-28T08:00:00"

    def test_leaves_proposal_dates_null_for_an_inexigibilidade(self) -> None:
        bid = completed(flattened(modalidadeId=9, dataPublicacaoPncp="2026-08-12"), 0)
        assert bid["dataAberturaProposta"] is bid["dataEncerramentoProposta"] is None

    def test_finds_a_lost_place_by_the_root_of_the_cnpj(self) -> None:
        lost = next(row for row in recorded("pncp_contratacoes_partial") if not row["unidadeOrgao"].get("ufSigla"))
        unit = completed(lost, 0)["unidadeOrgao"]
        assert (unit["ufSigla"], unit["ufNome"], unit["codigoIbge"]) == ("SP", "São Paulo", "3550308")


class TestModalidadeOf:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"modalidadeId": 7}, 7),
            ({"modalidadeNome": "Concorrência - Presencial"}, 5),
            (
                {
                    "linkSistemaOrigem": "https://portaldecompraspublicas.com.br/processos/TO/Pref-2465/CPMP-1-2025-2026-455528"
                },
                4,
            ),
            ({"objetoCompra": "CREDENCIAMENTO DE MÉDICOS"}, 12),
            ({"objetoCompra": "Registro de  Preços de papel"}, 6),
            ({"valorTotalEstimado": 900_000.0}, 6),
        ],
    )
    def test_takes_the_best_evidence_there_is(self, given: Record, expected: int) -> None:
        assert modalidade_of(flattened(**given), 0) == expected

    def test_is_mostly_pregao_and_dispensa_where_nothing_tells(self) -> None:
        drawn = [modalidade_of(flattened(numeroControlePNCP=f"x{number}"), 0) for number in range(2_000)]
        assert 0.8 < sum(code in {6, 8} for code in drawn) / len(drawn) < 0.95
        assert set(drawn) <= MODALIDADES.keys()
