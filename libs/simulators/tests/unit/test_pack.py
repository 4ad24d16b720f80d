import gzip
import json
from pathlib import Path

import pytest

from simulators.pack import RECORDINGS, loans, main, without_people


class TestWithoutPeople:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("escreva a fulano.tal@orgao.sp.gov.br hoje", "escreva a [email removido] hoje"),
            ("CPF 123.456.789-09.", "CPF [cpf removido]."),
            ("ligue (11) 98765-4321", "ligue [telefone removido]"),
            ("processo 65304.005088/2026-24 de 12/11/2026, R$ 1.234.567,89", None),
            ("CNPJ 82.939.422/0001-91", None),
        ],
    )
    def test_replaces_people_and_nothing_else(self, text: str, expected: str | None) -> None:
        assert without_people({"itens": [{"descricao": text}]}) == {"itens": [{"descricao": expected or text}]}

    def test_leaves_keys_and_ids_alone(self) -> None:
        row = {"numeroControlePNCP": "82939422000191-1-000008/2026", "linkSistemaOrigem": "https://x.br/11 98765-4321"}
        assert without_people(row) == row


class TestLoans:
    def test_lends_the_list_that_shares_the_rare_words(self) -> None:
        lists = {"gases": "Gás oxigênio em cilindro", "uniformes": "Camiseta de malha; calça de brim", "papel": "Papel"}
        bids = {"a": "Aquisição de camiseta e calça", "b": "Recarga de cilindro de oxigênio", "c": "Pavimentação"}
        assert loans(bids, lists) == {"a": "uniformes", "b": "gases"}


class TestMain:
    def test_packs_the_same_bytes_for_the_same_recordings(self, tmp_path: Path) -> None:
        rows = {
            "pncp_contratacoes": {"numeroControlePNCP": "x", "objetoCompra": "camiseta, fale com a@b.gov.br"},
            "pncp_itens_partial": {"numeroControlePNCP": "y", "itens": [{"descricao": "camiseta"}]},
        }
        for name in RECORDINGS:
            text = json.dumps(rows[name]) + "\n" if name in rows else ""
            (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
        states = {"AC": {"name": "Acre", "cities": [{"name": "Xapuri", "code": 1200708}]}}
        (tmp_path / "ufs.json").write_text(json.dumps(states), encoding="utf-8")
        packed = []
        for target in (tmp_path / "one", tmp_path / "two"):
            target.mkdir()
            main(tmp_path, tmp_path / "ufs.json", target)
            packed.append({path.name: path.read_bytes() for path in target.iterdir()})
        assert packed[0] == packed[1]
        (bid,) = gzip.decompress(packed[0]["pncp_contratacoes.jsonl.gz"]).splitlines()
        assert json.loads(bid)["objetoCompra"] == "camiseta, fale com [email removido]"
