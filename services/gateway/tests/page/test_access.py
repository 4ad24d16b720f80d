"""Whoever cannot see or point uses the page as well: axe-core finds nothing to mend in any state of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from contracts.search import Completed

KEY = "farol_page_0123456789abcdef"
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def page(profiles: Any, served: Any, look: Any) -> Iterator[Page]:
    with profiles.visit(served, look) as page:
        page.goto(f"{served.url}/entrar?key={KEY}")
        yield page


def found_by_axe(page: Page) -> list[str]:
    """What axe-core would have mended, one line a rule and element."""
    results = Axe().run(page, options=RULES)
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary']}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


def asked(page: Page, served: Any, *, tell: Callable[[], None]) -> None:
    page.locator("#sector").select_option("vestuario")
    for uf in ("BA", "MG", "RJ", "SP"):
        page.locator(f'input[name="ufs"][value="{uf}"]').check(force=True)
    page.get_by_role("button", name="Buscar licitações").click()
    page.wait_for_url("**/buscas/*")
    tell()


class TestAxe:
    def test_would_find_what_is_wrong(self, page):
        page.evaluate("document.querySelector('label[for=home_uf]').remove()")

        assert "select-name" in {line.partition(":")[0] for line in found_by_axe(page)}

    def test_finds_nothing_before_a_search(self, page, served):
        assert found_by_axe(page) == []

        page.get_by_text("Modalidades e faixa de valor").click()
        page.get_by_role("radio", name="Termos próprios").check()
        page.get_by_role("button", name="Buscar licitações").click()
        expect(page.locator("#problem-ufs")).to_be_visible()
        assert found_by_axe(page) == []

        page.goto(f"{served.url}/buscas/nada")
        assert found_by_axe(page) == []
        page.context.clear_cookies()
        page.goto(f"{served.url}/entrar")
        assert found_by_axe(page) == []

    def test_finds_nothing_while_a_search_runs_and_when_it_is_over(self, page, served):
        asked(page, served, tell=lambda: served.tell(count=4))
        expect(page.get_by_role("article")).to_have_count(3)
        assert found_by_axe(page) == []

        served.tell(until=Completed)
        expect(page.locator("#results-title")).to_have_text("Resultados (12)")
        served.frame("refresh_available", {})
        expect(page.get_by_role("button", name="Mostrar dados atualizados")).to_be_visible()
        assert found_by_axe(page) == []

    def test_finds_nothing_in_what_can_be_opened(self, page, served):
        asked(page, served, tell=served.tell)
        expect(page.locator("#results-title")).to_have_text("Resultados (12)")
        expect(page.locator("#summary-text details")).to_have_count(1)
        page.evaluate("for (const each of document.querySelectorAll('#search details')) each.open = true")
        page.get_by_role("button", name="Viabilidade alta").first.click()
        assert found_by_axe(page) == []

        page.keyboard.press("Escape")
        page.get_by_role("button", name="Explicação completa").first.click()
        expect(page.get_by_role("dialog")).to_contain_text("95 de 100")
        assert found_by_axe(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("radio", name="Tabela").check()
        page.get_by_label("Filtrar por estado").select_option("RJ")
        expect(page.locator("#results-title")).to_have_text("Resultados (3)")
        assert found_by_axe(page) == []

        page.get_by_role("link", name="Nova busca").click()
        expect(page.locator("#history")).to_be_visible()
        assert found_by_axe(page) == []

    @pytest.mark.parametrize("ending", ["degraded", "outage", "empty"])
    def test_finds_nothing_however_it_ends(self, page, served, script, ending):
        script.ending = ending
        asked(page, served, tell=served.tell)
        expect(page.locator(".banner")).to_be_visible()
        assert found_by_axe(page) == []

    @pytest.mark.parametrize("address", ["/licitacoes/00000000000026-1-000000/2026", "/cobertura", "/triagem"])
    def test_finds_nothing_on_the_pages_beside_the_search(self, page, served, stage, address):
        page.goto(f"{served.url}/licitacoes/00000000000000-1-000000/2026")
        page.get_by_role("button", name="Interessa").click()
        expect(page.get_by_role("button", name="Interessa")).to_have_attribute("aria-pressed", "true")
        page.goto(f"{served.url}{address}")
        expect(page.locator("main [aria-busy=false]")).to_have_count(1)
        assert found_by_axe(page) == []
