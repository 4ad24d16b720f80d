"""Lines are JSON and carry nothing personal."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from servicekit.logs import HIDDEN, configure, log, redact


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


class TestRedact:
    @pytest.mark.parametrize(
        "text",
        [
            "maria.silva@prefeitura.sp.gov.br",
            "+55 (11) 91234-5678",
            "(11) 3123-4567",
            "11 91234-5678",
            "5511912345678",
            "123.456.789-09",
            "sk-proj-abcdefghijklmnop1234",
            "Bearer abcdefgh12345678",
        ],
    )
    def test_hides_what_is_personal(self, text: str) -> None:
        line = redact(None, "info", {"event": "x", "note": f"veja {text} agora", "deep": {"list": [text]}})
        assert text not in json.dumps(line)
        assert line["note"] == f"veja {HIDDEN} agora"

    @pytest.mark.parametrize(
        "text",
        [
            "00394460000141-1-000123/2026",
            "search.v1.0190f0a0000070008000000000000001.judged.pncp.SP",
            "0190f0a0-1234-5678-8000-000000000001",
            "2026-11-22T10:11:12Z",
            "12.345.678/0001-95",
            "http://127.0.0.1:8000/v1/searches",
            "R$ 1.234.567,89",
        ],
    )
    def test_keeps_what_is_not(self, text: str) -> None:
        assert redact(None, "info", {"note": text}) == {"note": text}

    @pytest.mark.parametrize(
        "name", ["api_key", "authorization", "telefone", "contact_email", "OPENAI_API_KEY", "senha"]
    )
    def test_hides_by_name(self, name: str) -> None:
        assert redact(None, "info", {name: "anything", "inner": {name: "anything"}}) == {
            name: HIDDEN, "inner": {name: HIDDEN}
        }  # fmt: skip

    def test_hides_the_password_of_a_url(self) -> None:
        line = redact(None, "info", {"url": "postgresql://farol:geheim@db/farol"})
        assert line == {"url": f"postgresql://{HIDDEN}@db/farol"}


class TestConfigure:
    def test_writes_one_json_line_per_event(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure("INFO", "fetcher")
        with structlog.contextvars.bound_contextvars(search_id="abc"):
            log.info("uf_complete", uf="SP", items_count=42)
            log.debug("message.handled")
        [line] = capsys.readouterr().out.splitlines()
        found = json.loads(line)
        assert {**found, "time": ""} == {
            "event": "uf_complete", "uf": "SP", "items_count": 42, "search_id": "abc", "level": "info",
            "service": "fetcher", "time": "",
        }  # fmt: skip

    def test_gives_libraries_the_same_form(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure("INFO", "gateway")
        logging.getLogger("uvicorn").warning("slow %s", "client")
        logging.getLogger("uvicorn").info("noise")
        [line] = capsys.readouterr().out.splitlines()
        assert json.loads(line)["event"] == "slow client"


class TestCanaries:
    def test_are_in_no_line_however_they_are_handed_over(self, capsys: pytest.CaptureFixture[str]) -> None:
        canaries = {
            "phone": "+55 (11) 91234-5678", "mail": "fulana@exemplo.com.br", "cpf": "123.456.789-09",
            "key": "farol_4f2a9c1e_0123456789abcdef0123456789abcdef", "password": "nats://user:s3nh4-do-bus@nats:4222",
        }  # fmt: skip
        configure("INFO", "canary")
        local_only = "a secret that is nowhere but in a variable"
        for name, canary in canaries.items():
            log.info("x", note=canary, deep=[{"of": (canary,)}])
            log.warning(f"event {canary}")
            with structlog.contextvars.bound_contextvars(bound=canary):
                log.info("bound")
            try:
                held = f"{local_only} {canary}"
                raise ValueError(f"{name}: {canary}")  # noqa: TRY301 - the line of an exception is what is tested
            except ValueError:
                log.exception("failed")
            assert held
            logging.getLogger("a.library").warning("heard %s", canary)
        told = capsys.readouterr().out
        assert told.count('"failed"') == told.count("heard ") == len(canaries)
        assert "s3nh4-do-bus" not in told
        assert [canary for name, canary in canaries.items() if name != "password" and canary in told] == []
        assert local_only not in told
