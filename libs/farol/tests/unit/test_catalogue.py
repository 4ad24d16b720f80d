import json
from pathlib import Path

from typer.testing import CliRunner

from farol.cli import app

RUN = CliRunner()


class TestCheck:
    def test_finds_the_shipped_catalogue_sound(self) -> None:
        result = RUN.invoke(app, ["catalogue", "check", "--json"])
        said = json.loads(result.output)
        assert (result.exit_code, said["sectors"], said["problems"]) == (0, 30, [])

    def test_fails_where_a_file_cannot_be_read(self, tmp_path: Path) -> None:
        assert RUN.invoke(app, ["catalogue", "check", "--catalogue", str(tmp_path)]).exit_code == 1


class TestScore:
    def test_tells_every_mistake_of_a_file(self, tmp_path: Path) -> None:
        rows = [
            {"id": "1", "objeto": "Aquisição de uniformes", "sectors": ["vestuario"], "sure": True},
            {"id": "2", "objeto": "Aquisição de uniformes", "sectors": ["obras"], "sure": True},
            {"id": "3", "objeto": "Aquisição de uniformes", "sectors": [], "sure": False},
        ]
        file = tmp_path / "bids.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        lines = [
            json.loads(line)
            for line in RUN.invoke(app, ["catalogue", "score", str(file), "--json"]).output.splitlines()
        ]
        assert (lines[0]["bids"], lines[0]["precision"], lines[0]["recall"]) == (2, 0.5, 0.5)
        assert [(x["kind"], x["id"], x["sector"]) for x in lines if x["kind"] in {"miss", "false_hit"}] == [
            ("false_hit", "2", "vestuario"), ("miss", "2", "obras"),
        ]  # fmt: skip

    def test_says_so_when_a_file_has_another_shape(self, tmp_path: Path) -> None:
        file = tmp_path / "bids.jsonl"
        file.write_text('{"objeto": 1}', encoding="utf-8")
        assert RUN.invoke(app, ["catalogue", "score", str(file)]).exit_code == 1
