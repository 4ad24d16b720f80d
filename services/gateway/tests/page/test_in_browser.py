"""What a person sees and does, in a real Chromium, before scripted searches."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, expect

from contracts.places import UF
from contracts.query import Scope
from contracts.search import Completed, Planned
from contracts.values import Source

KEY = "farol_page_0123456789abcdef"
UFS = ("BA", "MG", "RJ", "SP")
SOURCES_NAMED = re.compile(r"pncp|portal de compras", re.IGNORECASE)

ALIVE = """[...document.querySelectorAll("#search *")]
    .filter((node) => ["SCRIPT", "IFRAME", "STYLE", "IMG"].includes(node.tagName)
        || [...node.attributes].some((each) => each.name.startsWith("on") || /^\\s*javascript:/i.test(each.value)))
    .map((node) => node.outerHTML)"""
"""Whatever in the search could run or fetch something: the page itself draws no such element there."""


def _bid_of(uf: str, n: int) -> str:
    return f"{tuple(UF).index(UF(uf)):014d}-1-{n:06d}/2026"


pytestmark = pytest.mark.timeout(90)


@dataclass
class Visitor:
    """Someone signed in, at one page; what the browser complained of and asked for is kept."""

    page: Page
    served: Any
    complaints: list[str]
    foreign: list[str]

    def ask(self, *ufs: str) -> None:
        self.page.get_by_label("Setor", exact=True).last.select_option("vestuario")
        for uf in ufs or UFS:
            self.page.locator(f'input[name="ufs"][value="{uf}"]').check(force=True)
        self.page.get_by_role("button", name="Buscar licitações").click()
        self.page.wait_for_url("**/buscas/*")

    def ask_and_finish(self, *ufs: str) -> None:
        self.ask(*ufs)
        self.served.tell()
        self.see_all()

    def see_all(self) -> None:
        """Wait until a search is over and nothing more is on its way to the page."""
        expect(self.page.locator(".banner")).to_be_visible()
        expect(self.page.locator("#results")).to_have_attribute("aria-busy", "false")
        expect(self.page.locator("#summary")).not_to_contain_text("Escrevendo")

    def heard(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            self.complaints.append(said.text)

    def saw(self, asked: Request) -> None:
        if not asked.url.startswith(self.served.url):
            self.foreign.append(asked.url)

    @property
    def seen(self) -> str:
        return self.page.locator("body").inner_text()


@pytest.fixture
def visitor(profiles: Any, served: Any, size: Any) -> Iterator[Visitor]:
    with profiles.visit(served, size) as page:
        visitor = Visitor(page, served, [], [])
        page.on("console", visitor.heard)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        page.on("request", visitor.saw)
        page.goto(f"{served.url}/entrar?key={KEY}")
        yield visitor
        wider = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert visitor.complaints == []
    assert visitor.foreign == []
    assert not wider


desktop_only = pytest.mark.parametrize("size", [("desktop", "light")], ids=["desktop"])


class TestEntrance:
    @desktop_only
    def test_lets_in_whoever_has_the_key(self, visitor):
        page = visitor.page
        page.context.clear_cookies()
        page.goto(f"{visitor.served.url}/")
        assert page.url.endswith("/entrar")

        page.get_by_label("Chave de acesso").fill("farol_page_errada")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Chave não reconhecida.")).to_be_visible()
        page.get_by_label("Chave de acesso").fill(KEY)
        page.keyboard.press("Enter")

        expect(page.get_by_role("button", name="Buscar licitações")).to_be_visible()
        assert len(visitor.complaints) == 1
        visitor.complaints.clear()


class TestSearch:
    def test_moves_without_a_reload(self, visitor):
        page, served = visitor.page, visitor.served
        visitor.ask()
        loads = []
        page.on("load", lambda: loads.append(1))

        served.tell(until=Planned)
        expect(page.locator("#stage")).to_have_text("Consultando 4 estados")
        served.tell(count=3)
        bahia = page.locator('.tile[data-uf="BA"]')
        expect(bahia).to_have_attribute("data-status", "complete")
        expect(bahia).to_have_text(re.compile("Bahia: completo, 41 licitações lidas"))
        expect(page.locator('.tile[data-uf="SP"]')).to_have_attribute("data-status", "pending")
        expect(page.locator("#coverage-words")).to_have_text("25% de cobertura — 1 de 4 estados")
        expect(page.get_by_role("article")).to_have_count(3)
        served.tell()

        expect(page.get_by_role("heading", name="Busca concluída")).to_be_visible()
        expect(page.locator("#coverage-words")).to_have_text("100% de cobertura — 4 de 4 estados")
        expect(page.locator("#results-title")).to_have_text("Resultados (12)")
        expect(page.get_by_role("link", name="Baixar planilha")).to_be_visible()
        assert loads == []

    @desktop_only
    def test_goes_on_after_a_reload(self, visitor):
        page, served = visitor.page, visitor.served
        visitor.ask()
        served.tell(count=4)
        expect(page.get_by_role("article")).to_have_count(3)

        page.reload()

        expect(page.get_by_role("heading", name="Vestuário e uniformes")).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(3)
        served.tell()
        expect(page.locator("#results-title")).to_have_text("Resultados (12)")
        page.reload()
        expect(page.get_by_role("heading", name="Busca concluída")).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(12)
        expect(page.get_by_role("link", name="Baixar planilha")).to_be_visible()
        expect(page.locator("#summary-text")).to_contain_text("Sudeste")
        page.get_by_text("Resumo completo").click()
        assert "Próximos:\n1. Niterói" in page.locator("#summary-text").inner_text()

    @desktop_only
    def test_names_itself_to_whoever_only_has_the_link(self, visitor, script):
        page, served = visitor.page, visitor.served
        visitor.ask_and_finish()
        page.evaluate("localStorage.clear()")

        page.reload()

        expect(page.get_by_role("heading", name="Vestuário e uniformes")).to_be_visible()
        expect(page.locator("#search-words")).to_contain_text("BA, MG, RJ e SP · ainda abertas")
        page.get_by_role("button", name="Alterar busca").click()
        page.get_by_role("button", name="Buscar licitações").click()
        page.wait_for_url("**/buscas/*")
        served.tell()
        expect(page.get_by_role("heading", name="Busca concluída")).to_be_visible()
        assert script.asked[0].query == script.asked[1].query

    @desktop_only
    def test_keeps_the_panels_beside_the_results_at_the_top(self, visitor):
        page = visitor.page
        visitor.ask_and_finish()
        page.evaluate("scrollTo(0, 0)")

        side, found = page.locator(".side").bounding_box(), page.locator(".found").bounding_box()
        assert side["y"] == found["y"]

    @desktop_only
    def test_resumes_where_the_stream_was_cut(self, visitor, stage):
        page, served = visitor.page, visitor.served
        visitor.ask()
        served.tell(count=4)
        expect(page.get_by_role("article")).to_have_count(3)
        last = next(iter(stage.playing.values())).frames[-1].id

        served.cut()
        served.tell(count=3)

        expect(page.get_by_role("article")).to_have_count(6)
        assert stage.opened == [None, last]
        served.tell()
        expect(page.get_by_role("heading", name="Busca concluída")).to_be_visible()

    @desktop_only
    def test_shows_the_rest_on_demand_and_in_another_order(self, visitor):
        page = visitor.page
        page.get_by_role("button", name="Brasil inteiro").click()
        expect(page.locator("#ufs-count")).to_have_text("Todos os 27 estados")
        visitor.ask_and_finish()
        expect(page.locator("#results-title")).to_have_text("Resultados (50 de 81)")

        page.get_by_role("button", name="Mostrar mais").click()
        expect(page.locator("#results-title")).to_have_text("Resultados (81)")
        page.get_by_label("Ordenar por").select_option("value")

        expect(page.locator(".card .money").first).to_contain_text("4.586.553,75")
        expect(page.locator("#results-title")).to_have_text("Resultados (50 de 81)")

    @desktop_only
    def test_can_be_changed_and_left(self, visitor):
        page = visitor.page
        visitor.ask_and_finish()
        search = page.url

        page.get_by_role("button", name="Alterar busca").click()
        expect(page.locator("#ufs-count")).to_have_text("4 estados escolhidos")
        page.go_back()

        assert page.url == search
        expect(page.get_by_role("heading", name="Busca concluída")).to_be_visible()

    @desktop_only
    def test_that_nobody_asked_is_not_found(self, visitor):
        visitor.page.goto(f"{visitor.served.url}/buscas/{'0' * 32}")

        expect(visitor.page.get_by_role("heading", name="Busca não encontrada")).to_be_visible()
        assert len(visitor.complaints) == 1
        visitor.complaints.clear()


class TestForm:
    def test_sends_what_was_chosen(self, visitor, script):
        page = visitor.page
        page.get_by_role("radio", name="Termos próprios").check()
        page.get_by_label("Termos próprios, separados por vírgula").fill("CFTV, câmera de segurança,")
        page.get_by_role("group", name="Sul").get_by_text("Sul", exact=True).click()
        page.get_by_role("radio", name="Por data de publicação").check()
        page.get_by_label("De", exact=True).fill("2026-01-05")
        page.get_by_label("Até").fill("2026-01-20")
        page.get_by_label("Estado", exact=True).select_option("PR")
        page.get_by_text("Modalidades e faixa de valor").click()
        page.get_by_label("Credenciamento").check()
        page.get_by_label("Mínimo (R$)").fill("50.000,00")
        page.get_by_label("Máximo (R$)").fill("1.234.567,89")
        page.get_by_role("button", name="Buscar licitações").click()
        page.wait_for_url("**/buscas/*")

        query = script.asked[0].query
        assert query.terms == ("cftv", "câmera de segurança")
        assert query.ufs == ("PR", "RS", "SC")
        assert (str(query.date_from), str(query.date_to)) == ("2026-01-05", "2026-01-20")
        assert query.home_uf == "PR"
        assert query.modalidades == (4, 5, 6, 7, 8, 12)
        assert (str(query.value_min), str(query.value_max)) == ("50000.00", "1234567.89")
        assert query.sources == (Source.PCP, Source.PNCP)

    @desktop_only
    def test_asks_first_for_what_is_still_open(self, visitor, script):
        page = visitor.page
        expect(page.get_by_role("radio", name="Ainda abertas")).to_be_checked()
        expect(page.get_by_label("De", exact=True)).not_to_be_visible()
        visitor.ask_and_finish("SP")

        assert script.asked[0].query.scope is Scope.OPEN
        expect(page.locator("#search-words")).to_have_text("SP · ainda abertas")
        page.get_by_role("button", name="Alterar busca").click()
        expect(page.get_by_role("radio", name="Ainda abertas")).to_be_checked()

    @desktop_only
    def test_keeps_the_profile_of_the_company_only_when_told_to(self, visitor):
        page = visitor.page
        page.get_by_label("Estado", exact=True).select_option("PR")
        page.get_by_label("Porte", exact=True).select_option("me")
        expect(page.locator("#porte-hint")).to_contain_text("A receita anual deste porte vai até R$ 360.000,00.")
        page.get_by_role("button", name="Usar como valor máximo").click()
        expect(page.get_by_label("Máximo (R$)")).to_have_value("360.000,00")
        page.get_by_label("Lembrar estado, porte e faixa de valor").check()
        visitor.ask_and_finish("SP")

        page.get_by_role("link", name="Nova busca").click()
        expect(page.get_by_label("Estado", exact=True)).to_have_value("PR")
        expect(page.get_by_label("Porte", exact=True)).to_have_value("me")
        expect(page.locator("#value_max")).to_have_value("360.000,00")
        page.get_by_label("Lembrar estado, porte e faixa de valor").uncheck()
        visitor.ask_and_finish("SP")
        page.get_by_role("link", name="Nova busca").click()
        expect(page.get_by_label("Estado", exact=True)).to_have_value("")

    def test_says_what_is_missing_beside_its_field(self, visitor):
        page = visitor.page
        page.get_by_role("button", name="Buscar licitações").click()

        expect(page.locator("#problem-sector")).to_have_text("escolha um setor")
        expect(page.locator("#problem-ufs")).to_have_text("escolha pelo menos um estado")
        expect(page.locator("#sector")).to_be_focused()
        expect(page.locator("#sector")).to_have_attribute("aria-invalid", "true")

    @desktop_only
    def test_shows_what_the_server_refuses_beside_its_field(self, visitor, script):
        page = visitor.page
        page.locator("#sector").select_option("vestuario")
        page.locator('input[value="SP"][name="ufs"]').check(force=True)
        page.get_by_role("radio", name="Por data de publicação").check()
        page.get_by_label("De", exact=True).fill("2026-02-10")
        page.get_by_label("Até").fill("2026-02-01")
        page.get_by_role("button", name="Buscar licitações").click()
        expect(page.locator("#problem-date_from")).to_have_text("a data inicial é posterior à data final")
        expect(page.locator("#date_from")).to_be_focused()

        page.get_by_label("Até").fill("2026-02-12")
        page.get_by_text("Modalidades e faixa de valor").click()
        page.get_by_label("Mínimo (R$)").fill("muito")
        page.get_by_text("Modalidades e faixa de valor").click()
        page.get_by_role("button", name="Buscar licitações").click()
        expect(page.locator("#problem-value_min")).to_have_text("deve ser um número")
        expect(page.get_by_label("Mínimo (R$)")).to_be_focused()

        assert script.asked == []
        assert len(visitor.complaints) == 2
        visitor.complaints.clear()

    @desktop_only
    def test_works_from_the_keyboard_alone(self, visitor):
        page = visitor.page
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Pular para o conteúdo")).to_be_focused()
        page.keyboard.press("Enter")
        page.locator("#sector").focus()
        page.keyboard.type("Vest")
        page.locator('input[value="MG"][name="ufs"]').focus()
        page.keyboard.press("Space")
        page.keyboard.press("Enter")

        page.wait_for_url("**/buscas/*")
        expect(page.get_by_role("heading", name="Vestuário e uniformes")).to_be_focused()


class TestCard:
    def test_explains_viability_on_a_click_and_by_keyboard(self, visitor):
        page = visitor.page
        visitor.ask_and_finish("SP")
        badge = page.get_by_role("article").first.get_by_role("button", name="Viabilidade alta")
        panel = page.get_by_role("tooltip")

        badge.click()
        expect(panel).to_be_visible()
        for words in ("Viabilidade: 90 de 100", "Modalidade (30%)", "Prazo (25%)", "Valor (25%)", "Localização (20%)"):
            expect(panel).to_contain_text(words)
        page.keyboard.press("Escape")
        expect(panel).not_to_be_visible()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        expect(badge).to_be_focused()
        expect(panel).to_be_visible()

    @desktop_only
    def test_stays_open_and_focused_when_the_last_word_on_it_comes(self, visitor):
        page, served = visitor.page, visitor.served
        visitor.ask("SP")
        served.tell(count=4)
        first, panel = page.get_by_role("article").first, page.get_by_role("tooltip")
        badge = first.get_by_role("button", name="Viabilidade alta")
        first.get_by_text("Por que está aqui").click()
        badge.click()
        expect(panel).to_be_visible()
        expect(page.get_by_text("Nova para você")).to_have_count(0)

        served.tell()
        visitor.see_all()
        expect(page.get_by_text("Nova para você")).to_have_count(3)
        expect(panel).to_be_visible()
        expect(badge).to_be_focused()
        expect(first.get_by_role("button", name="Explicação completa")).to_be_visible()
        page.keyboard.press("Escape")
        expect(panel).not_to_be_visible()

    @desktop_only
    def test_shows_evidence_money_and_deadline_as_brazilians_write_them(self, visitor):
        visitor.ask_and_finish("SP")
        first, second, third = visitor.page.get_by_role("article").all()

        expect(first.locator("mark")).to_have_text(["uniformes"])
        expect(first).to_contain_text("R$ 291.351,39")
        expect(first).to_contain_text(re.compile(r"Encerra em 16 dias — \d{2}/\d{2}/\d{4}, \d{2}:\d{2}"))
        expect(first.get_by_role("link", name="Ver o edital")).to_have_attribute("rel", "noopener noreferrer")
        expect(second).to_contain_text("Encerra em 2 dias")
        expect(third).to_contain_text("Valor não divulgado")
        expect(third).to_contain_text("Prazo não informado")
        expect(first.locator(".tip").first).to_have_text("Alta densidade de termos relevantes.")
        expect(second.locator(".tip").first).to_have_text("Avaliado por IA.")
        expect(third.locator(".tip").first).to_have_text("Decidido por regras, sem avaliação por IA.")

    @desktop_only
    def test_of_a_hostile_bid_is_only_text(self, visitor, script):
        script.hostile = True
        visitor.ask_and_finish("SP")
        last = visitor.page.get_by_role("article").last

        expect(last.locator("h3")).to_have_text(re.compile(r"^<img src=x onerror="))
        expect(last.locator("img")).to_have_count(0)
        expect(last.get_by_role("link")).to_have_text([re.compile("^Detalhes")])
        assert "pwned" not in visitor.page.title()


class TestResults:
    @desktop_only
    def test_are_filtered_without_a_reload(self, visitor):
        page = visitor.page
        visitor.ask_and_finish()
        title = page.locator("#results-title")
        expect(title).to_have_text("Resultados (12)")
        loads = []
        page.on("load", lambda: loads.append(1))

        page.get_by_label("Filtrar por estado").select_option("RJ")
        expect(title).to_have_text("Resultados (3)")
        expect(page.locator("#filtered")).to_have_text("3 licitações passam pelos filtros, de 12.")
        confidence = page.get_by_role("group", name="Confiança")
        confidence.get_by_label("alta").check()
        expect(title).to_have_text("Resultados (1)")
        confidence.get_by_label("baixa").check()
        expect(title).to_have_text("Resultados (2)")
        page.get_by_role("group", name="Viabilidade").get_by_label("alta").check()
        expect(title).to_have_text("Resultados (1)")

        page.get_by_role("button", name="Limpar filtros").click()
        expect(title).to_have_text("Resultados (12)")
        page.get_by_label("Filtrar por texto").fill("LARANJA")
        expect(title).to_have_text("Resultados (4)")
        page.get_by_label("Filtrar por texto").fill("")
        page.get_by_role("textbox", name="Maior valor").fill("300.000,00")
        expect(title).to_have_text("Resultados (8)")
        page.get_by_label("Filtrar por texto").fill("inexistente")
        expect(page.get_by_role("heading", name="Nenhum resultado passa por estes filtros")).to_be_visible()
        expect(page.locator(".banner")).to_contain_text("12 licitações relevantes")
        assert loads == []

    @desktop_only
    def test_tell_which_filter_cannot_be_read(self, visitor):
        page = visitor.page
        visitor.ask_and_finish()

        page.get_by_label("Menor valor").fill("muito")
        expect(page.get_by_label("Menor valor")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("Menor valor").fill("1")
        expect(page.get_by_label("Menor valor")).not_to_have_attribute("aria-invalid", "true")
        assert len(visitor.complaints) == 1
        visitor.complaints.clear()

    def test_are_a_table_for_those_who_want_one_and_stay_so(self, visitor):
        page = visitor.page
        visitor.ask_and_finish("SP")
        page.get_by_role("radio", name="Tabela").check()

        table = page.get_by_role("table", name="Licitações encontradas")
        expect(table.get_by_role("row")).to_have_count(4)
        expect(table.get_by_role("row").nth(1)).to_contain_text("R$ 291.351,39")
        expect(table.get_by_role("row").nth(1)).to_contain_text("16 dias")
        expect(table.get_by_role("row").nth(3)).to_contain_text("Não divulgado")
        expect(page.get_by_role("article")).to_have_count(0)
        page.reload()
        expect(page.get_by_role("table", name="Licitações encontradas").get_by_role("row")).to_have_count(4)
        page.get_by_role("radio", name="Cartões").check()
        expect(page.get_by_role("article")).to_have_count(3)

    def test_explain_themselves_in_a_drawer(self, visitor):
        page = visitor.page
        visitor.ask_and_finish("SP")
        page.get_by_role("article").first.get_by_text("Por que está aqui").click()
        opener = page.get_by_role("button", name="Explicação completa").first
        opener.click()

        drawer = page.get_by_role("dialog", name="Por que está nos resultados")
        for words in (
            "95 de 100 — confiança alta",
            "Termo do setor encontrado: “uniformes”.",
            "Densidade calculada: 8%.",
            "Muitos termos (acima de 5%): aceita por regra.",
            "“uniformes”",
            "Modalidade (30%)",
        ):
            expect(drawer).to_contain_text(words)
        page.keyboard.press("Escape")
        expect(drawer).not_to_be_visible()
        expect(opener).to_be_focused()

    @desktop_only
    def test_are_pictured_with_words_for_those_who_do_not_see(self, visitor):
        page = visitor.page
        page.get_by_role("button", name="Brasil inteiro").click()
        visitor.ask_and_finish()

        values = page.get_by_role("img", name="Valor estimado por estado")
        expect(values).to_have_attribute("aria-label", re.compile(r"AC: R\$\s4\.877\.905,14; .*; e mais 19\.$"))
        expect(values.locator("rect")).to_have_count(8)
        expect(page.get_by_role("img", name="Prazo para propostas")).to_have_attribute(
            "aria-label", "Prazo para propostas. 27 em até 7 dias; 27 de 8 a 30 dias; 27 sem prazo informado."
        )
        expect(page.get_by_role("img", name="Modalidades")).to_have_attribute(
            "aria-label", "Modalidades. Dispensa: 54; Pregão - Eletrônico: 27."
        )


class TestHistory:
    def test_shows_what_was_asked_here_until_it_is_forgotten(self, visitor):
        page = visitor.page
        visitor.ask_and_finish("SP")
        search = page.url
        page.get_by_role("link", name="Nova busca").click()

        entry = page.locator("#history-list li")
        expect(entry).to_have_count(1)
        expect(entry).to_contain_text("SP · ainda abertas")
        expect(entry).to_contain_text("3 relevantes")
        entry.get_by_role("link", name="Vestuário e uniformes").click()
        expect(page).to_have_url(search)
        page.get_by_role("link", name="Nova busca").click()
        page.get_by_role("button", name="Esquecer").click()
        expect(page.locator("#history")).not_to_be_visible()
        page.reload()
        expect(page.locator("#history")).not_to_be_visible()


class TestCancel:
    @desktop_only
    def test_ends_the_search_with_what_was_found(self, visitor):
        page, served = visitor.page, visitor.served
        visitor.ask()
        served.tell(count=4)
        expect(page.get_by_role("article")).to_have_count(3)

        page.get_by_role("button", name="Cancelar busca").click()

        expect(page.get_by_role("heading", name="Busca cancelada")).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(3)
        expect(page.get_by_role("button", name="Cancelar busca")).not_to_be_visible()


class TestRefresh:
    @desktop_only
    def test_swaps_the_rows_only_on_a_click(self, visitor, stage):
        page, served = visitor.page, visitor.served
        visitor.ask("SP")
        served.tell(until=Completed)
        expect(page.get_by_role("article")).to_have_count(3)

        served.frame("refresh_available", {"message": "Dados atualizados disponíveis"})
        banner = page.get_by_text("Dados atualizados disponíveis", exact=True).first
        expect(banner).to_be_visible()
        stage.kept_rows = 1
        expect(page.get_by_role("article")).to_have_count(3)
        page.get_by_role("button", name="Mostrar dados atualizados").click()

        expect(page.get_by_role("article")).to_have_count(1)
        expect(banner).not_to_be_visible()
        expect(page.locator("#results-title")).to_be_focused()


class TestTriage:
    def test_lasts_and_can_be_taken_back(self, visitor, stage):
        page = visitor.page
        visitor.ask_and_finish("SP")
        first = page.get_by_role("article").first
        first.get_by_role("button", name="Interessa").click()

        expect(first.get_by_role("button", name="Interessa")).to_have_attribute("aria-pressed", "true")
        expect(first.get_by_role("button", name="Interessa")).to_be_focused()
        page.reload()
        expect(first.get_by_role("button", name="Interessa")).to_have_attribute("aria-pressed", "true")
        first.get_by_role("button", name="Interessa").click()
        expect(first.get_by_role("button", name="Interessa")).to_have_attribute("aria-pressed", "false")
        first.get_by_role("button", name="Descartar").click()
        expect(first.get_by_role("button", name="Descartada")).to_be_visible()
        assert [each.mark for each in stage.marks.of.values()] == ["descartada"]

    @desktop_only
    def test_shows_only_what_is_new_where_that_is_wanted(self, visitor, stage):
        page = visitor.page
        stage.marks.seen = {_bid_of(uf, 0) for uf in ("MG", "SP")}
        visitor.ask_and_finish("MG", "SP")
        expect(page.locator("#results-title")).to_have_text("Resultados (6)")
        expect(page.get_by_text("Nova para você")).to_have_count(4)

        page.get_by_label("Só o que é novo para mim").check()
        expect(page.locator("#results-title")).to_have_text("Resultados (4)")


class TestFeedback:
    def test_is_told_once_and_can_be_changed_and_taken_back(self, visitor, stage):
        page = visitor.page
        visitor.ask_and_finish("SP")
        first = page.get_by_role("article").first
        no = first.get_by_role("button", name="Não pertence")
        no.click()
        expect(first.get_by_text("Obrigado! Avaliação guardada.")).to_be_visible()
        expect(no).to_be_focused()
        first.get_by_label("Por quê?").select_option("É de outro setor")
        expect(first.get_by_text("Motivo guardado.")).to_be_visible()
        page.reload()
        expect(no).to_have_attribute("aria-pressed", "true")
        expect(first.get_by_label("Por quê?")).to_have_value("wrong_sector")
        no.click()
        expect(first.get_by_text("Avaliação retirada.")).to_be_visible()

        told = [(each.user_verdict, each.category) for each in stage.told]
        assert told == [("false_positive", None), ("false_positive", "wrong_sector"), (None, None)]


class TestSavedSearches:
    @desktop_only
    def test_are_asked_again_with_a_click_until_they_are_thrown_away(self, visitor, stage):
        page = visitor.page
        visitor.ask_and_finish("SP")
        page.get_by_role("button", name="Salvar busca").click()
        expect(page.get_by_role("button", name="Busca salva")).to_be_disabled()
        page.get_by_role("link", name="Nova busca").click()
        kept = page.get_by_role("region", name="Buscas salvas")
        kept.get_by_role("button", name="Vestuário e uniformes · SP · ainda abertas").first.click()
        page.wait_for_url("**/buscas/*")
        visitor.served.tell()
        visitor.see_all()

        first, second = (playing.state.requested for playing in stage.playing.values())
        assert first.query == second.query
        page.get_by_role("link", name="Nova busca").click()
        kept.get_by_role("button", name="Apagar").click()
        expect(kept).not_to_be_visible()
        assert stage.marks.searches == {}


class TestBidPage:
    def test_tells_record_items_documents_and_what_changed(self, visitor):
        page = visitor.page
        visitor.ask_and_finish("SP")
        page.get_by_role("link", name="Detalhes").first.click()

        expect(page.get_by_role("heading", level=1)).to_contain_text("REGISTRO DE PREÇOS para aquisição de uniformes")
        expect(page.locator("#bid")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#record")).to_contain_text("R$ 291.351,39")
        rows = page.get_by_role("table", name="Itens da licitação").get_by_role("row")
        expect(rows.nth(1)).to_contain_text("1.200")
        expect(rows.nth(1)).to_contain_text("R$ 25,90")
        expect(rows.nth(2)).to_contain_text("Não divulgado")
        expect(page.get_by_role("link", name="Edital (abre em outra aba)", exact=True)).to_have_attribute(
            "href", "https://editais.example/edital.pdf"
        )
        expect(page.locator("#changes")).to_contain_text("Fim das propostas")
        with page.expect_download() as download:
            page.get_by_role("link", name="Pôr as datas na agenda").click()
        assert "BEGIN:VEVENT" in download.value.path().read_text(encoding="utf-8")

    @desktop_only
    def test_keeps_a_mark_and_a_note(self, visitor, stage):
        page = visitor.page
        page.goto(f"{visitor.served.url}/licitacoes/{_bid_of('SP', 0)}")
        page.get_by_role("button", name="Interessa").click()
        expect(page.get_by_role("button", name="Interessa")).to_have_attribute("aria-pressed", "true")
        page.get_by_label("Anotação").fill("Ligar para o pregoeiro")
        page.get_by_role("button", name="Guardar anotação").click()
        expect(page.locator("#note-said")).to_have_text("Anotação guardada.")
        page.reload()

        expect(page.get_by_label("Anotação")).to_have_value("Ligar para o pregoeiro")
        (kept,) = stage.marks.of.values()
        assert (kept.mark, kept.note) == ("interessa", "Ligar para o pregoeiro")

    @desktop_only
    def test_of_a_hostile_bid_is_only_text(self, visitor, script):
        page = visitor.page
        script.hostile = True
        page.goto(f"{visitor.served.url}/licitacoes/{_bid_of('SP', 2)}")
        expect(page.locator("#items")).to_contain_text("<script>window.pwned=1</script>")
        expect(page.locator("#documents")).to_contain_text("Nenhum documento publicado.")

        assert page.evaluate(ALIVE.replace("#search *", "#bid *")) == []
        expect(page.get_by_role("link", name="Ver o edital")).to_have_count(0)
        assert page.evaluate("window.pwned") is None

    @desktop_only
    def test_that_nobody_knows_is_not_found(self, visitor):
        visitor.page.goto(f"{visitor.served.url}/licitacoes/{_bid_of('SP', 9)}")

        expect(visitor.page.get_by_role("heading", name="Licitação não encontrada")).to_be_visible()
        assert len(visitor.complaints) == 1
        visitor.complaints.clear()


class TestTriagePage:
    def test_lists_what_is_marked_and_says_what_has_changed_since(self, visitor, stage):
        page = visitor.page
        visitor.ask_and_finish("SP")
        page.get_by_role("article").first.get_by_role("button", name="Interessa").click()
        expect(page.get_by_role("button", name="Interessa").first).to_have_attribute("aria-pressed", "true")
        page.get_by_role("link", name="Triagem").click()

        only = page.get_by_role("article")
        expect(only).to_have_count(1)
        expect(only).to_contain_text("1 alteração desde a marcação")
        only.get_by_role("button", name="Descartar").click()
        expect(only).to_have_count(0)
        expect(page.locator("#triage-said")).to_have_text("Nenhuma licitação com esta marcação.")
        page.get_by_role("radio", name="Descartadas").check()
        expect(only).to_have_count(1)


class TestCoveragePage:
    def test_maps_what_was_read_and_lists_the_gaps(self, visitor):
        page = visitor.page
        page.get_by_role("link", name="Cobertura").click()

        expect(page.locator("#coverage-words")).to_contain_text("40% de cobertura")
        states = {uf: page.locator(f'.tile[data-uf="{uf}"]').get_attribute("data-status") for uf in ("SP", "RJ", "AC")}
        assert states == {"SP": "complete", "RJ": "partial", "AC": "failed"}
        expect(page.locator("#gaps")).to_contain_text("40 licitações lidas, 44 nos totais publicados.")
        expect(page.get_by_role("row").last).to_contain_text("São Paulo")
        page.get_by_label("Publicações dos últimos").select_option("30")
        expect(page.locator("#coverage")).to_have_attribute("aria-busy", "false")
        assert SOURCES_NAMED.search(page.content()) is None


class TestExport:
    @desktop_only
    def test_is_of_the_list_as_filtered(self, visitor):
        page = visitor.page
        visitor.ask_and_finish()
        page.get_by_label("Filtrar por estado").select_option("RJ")
        expect(page.locator("#results-title")).to_have_text("Resultados (3)")

        with page.expect_download() as download:
            page.get_by_role("link", name="Baixar esta lista em CSV").click()
        lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
        assert len(lines) == 1 + 3
        assert download.value.suggested_filename.endswith(".csv")


class TestHostileBids:
    """Every field of a bid is text, in every view."""

    @desktop_only
    def test_stay_text_everywhere(self, visitor, script):
        page = visitor.page
        script.hostile = True
        visitor.ask_and_finish("SP")
        expect(page.get_by_text("Nova para você")).to_have_count(3)
        page.evaluate("for (const each of document.querySelectorAll('#search details')) each.open = true")
        page.get_by_role("button", name="Viabilidade média").last.click()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Explicação completa").last.click()
        expect(page.get_by_role("dialog")).to_contain_text("<iframe srcdoc=")
        assert page.evaluate(ALIVE) == []
        page.keyboard.press("Escape")
        page.get_by_role("radio", name="Tabela").check()
        expect(page.get_by_role("table")).to_contain_text("<script>window.pwned=1</script>")
        assert page.evaluate(ALIVE) == []
        page.get_by_role("table").get_by_role("row").last.hover()
        page.reload()
        expect(page.get_by_role("table")).to_contain_text("<svg onload=window.pwned=1>")

        assert page.evaluate("window.pwned") is None
        assert "pwned" not in page.title()


class TestKeyboard:
    @desktop_only
    def test_alone_goes_the_whole_way(self, visitor):
        page, served = visitor.page, visitor.served

        def tab_to(role: str, name: str) -> None:
            wanted = page.get_by_role(role, name=name).first
            for _ in range(150):
                if wanted.evaluate("node => node === document.activeElement"):
                    return
                page.keyboard.press("Tab")
            raise AssertionError(f"no Tab leads to {name}")

        tab_to("link", "Pular para o conteúdo")
        page.keyboard.press("Enter")
        tab_to("combobox", "Setor")
        page.keyboard.type("Vest")
        tab_to("checkbox", "São Paulo")
        page.keyboard.press("Space")
        tab_to("button", "Buscar licitações")
        page.keyboard.press("Enter")
        page.wait_for_url("**/buscas/*")
        expect(page.locator("#search-title")).to_be_focused()
        served.tell()
        expect(page.locator("#results-title")).to_have_text("Resultados (3)")

        tab_to("link", "Baixar planilha")
        tab_to("radio", "Cartões")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("table")).to_be_visible()
        tab_to("checkbox", "média")
        page.keyboard.press("Space")
        expect(page.locator("#results-title")).to_have_text("Resultados (1)")
        tab_to("button", "Limpar filtros")
        page.keyboard.press("Enter")
        expect(page.locator("#results-title")).to_have_text("Resultados (3)")
        tab_to("button", "Explicação de")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("95 de 100")
        page.keyboard.press("Escape")
        tab_to("button", "Interessa")
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Interessa").first).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("button", name="Interessa").first).to_be_focused()
        tab_to("link", "Edital")


class TestEnding:
    def test_degraded_is_amber_and_says_why(self, visitor, script):
        script.ending = "degraded"
        visitor.ask_and_finish()
        page = visitor.page

        expect(page.locator(".banner")).to_have_attribute("data-tone", "partial")
        expect(page.locator(".banner")).to_contain_text("Alguns estados não responderam a tempo.")
        expect(page.locator(".banner")).to_contain_text("Há dados guardados há 5 h.")
        states = {uf: page.locator(f'.tile[data-uf="{uf}"]').get_attribute("data-status") for uf in UFS}
        assert states == {"BA": "complete", "MG": "partial", "RJ": "failed", "SP": "cached"}
        expect(page.locator("#coverage-words")).to_have_attribute("data-tone", "red")
        expect(page.locator("#report")).to_contain_text("Não foi possível gerar a planilha agora.")
        expect(page.locator("#by-rules")).to_have_text("3 casos duvidosos foram decididos apenas por regras.")
        page.reload()
        expect(page.locator("#by-rules")).to_have_text("3 casos duvidosos foram decididos apenas por regras.")
        assert SOURCES_NAMED.search(page.content()) is None

    def test_an_outage_is_red_and_never_an_empty_result(self, visitor, script):
        script.ending = "outage"
        visitor.ask_and_finish()

        expect(visitor.page.locator(".banner")).to_have_attribute("data-tone", "unavailable")
        expect(visitor.page.get_by_role("heading", name="Fontes temporariamente indisponíveis")).to_be_visible()
        expect(visitor.page.get_by_role("button", name="Tentar de novo")).to_be_visible()
        assert re.search(r"nenhum|nada |0 licita|corresponde", visitor.seen, re.IGNORECASE) is None

    @desktop_only
    def test_a_retry_asks_the_same_again(self, visitor, script):
        script.ending = "outage"
        visitor.ask_and_finish()
        first = visitor.page.url
        script.ending = "complete"

        visitor.page.get_by_role("button", name="Tentar de novo").click()
        visitor.page.wait_for_url(lambda url: url != first)
        visitor.served.tell()

        expect(visitor.page.get_by_role("heading", name="Busca concluída")).to_be_visible()
        assert script.asked[0].query == script.asked[1].query

    def test_a_true_empty_result_says_that_everything_was_looked_at(self, visitor, script):
        script.ending = "empty"
        visitor.ask_and_finish()

        expect(visitor.page.locator("#empty")).to_contain_text("Nenhuma licitação corresponde a esta busca")
        expect(visitor.page.locator("#by-rules")).to_be_hidden()
        expect(visitor.page.locator(".banner")).to_have_attribute("data-tone", "operational")

    @desktop_only
    def test_waits_for_the_documents_in_words(self, visitor):
        visitor.ask()
        visitor.served.tell(until=Completed)

        expect(visitor.page.get_by_role("heading", name="Busca concluída")).to_be_visible()
        expect(visitor.page.locator("#spreadsheet")).to_have_text("Preparando a planilha…")
        expect(visitor.page.locator("#summary-text")).to_have_text("Escrevendo o resumo…")
        visitor.served.tell()
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("link", name="Baixar planilha").click()
        assert download.value.suggested_filename.endswith(".xlsx")
