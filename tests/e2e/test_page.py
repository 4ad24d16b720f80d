"""The journey of a user in a real browser over the whole of Farol: sign in, ask, watch, read, download."""

import io
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Page, Response, expect, sync_playwright

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SLOWED = {"kind": "latency", "source": "pncp", "endpoint": "publicacao", "seconds": 0.5, "spread": 0.2}
"""Enough that the search can be watched."""
UFS = ("MG", "RS", "SP")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SOURCES_NAMED = re.compile(r"pncp|portal de compras|\b(\d+|duas|ambas as) (fontes|bases)\b", re.IGNORECASE)
WITHIN = 60_000


@dataclass
class Watched:
    """A page with what it complained of, asked elsewhere, and loaded."""

    page: Page
    shots: Path
    home_uf: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    loads: int = 0
    weight: int = 0

    def watch(self, home: str) -> None:
        self.page.on("console", lambda said: self._heard(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda asked: None if asked.url.startswith(home) else self.foreign.append(asked.url))
        self.page.on("load", self._loaded)
        self.page.on("response", self._weighed)

    def shoot(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def _loaded(self, _page: Page) -> None:
        self.loads += 1

    def _weighed(self, response: Response) -> None:
        self.weight += int(response.headers.get("content-length", "0"))


@pytest.fixture(scope="module")
def farol(start_farol):
    farol = start_farol()
    farol.set_faults(SLOWED)
    return farol


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(
    params=[
        pytest.param(("desktop", 1280, 900, "light", "SP"), id="desktop"),
        pytest.param(("phone", 390, 844, "dark", "RS"), id="phone"),
    ]
)
def visitor(request, browser, farol):
    name, width, height, theme, home = request.param
    shots = request.config.rootpath / "artifacts" / "page" / name
    shots.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, locale="pt-BR", accept_downloads=True
    )
    context.set_default_timeout(WITHIN)
    watched = Watched(context.new_page(), shots, home)
    watched.watch(farol.endpoint["url"])
    yield watched
    context.close()


def sign_in(visitor, farol):
    """By the link that the terminal shows."""
    said = (farol.data_dir / "out.txt").read_text()
    link = re.search(r"http://\S+/entrar\?key=\S+", said)
    assert link, said
    visitor.page.goto(link[0])
    expect(visitor.page).to_have_url(f"{farol.endpoint['url']}/")


class TestAUser:
    def test_finds_licitacoes_and_takes_them_home(self, visitor, farol, tmp_path):
        page = visitor.page
        sign_in(visitor, farol)
        assert visitor.weight <= 150_000
        visitor.shoot("1-form")

        page.locator("#sector").select_option("alimentacao")
        for uf in UFS:
            page.locator(f'input[name="ufs"][value="{uf}"]').check(force=True)
        page.get_by_label("Estado", exact=True).select_option(visitor.home_uf)
        page.get_by_role("button", name="Buscar licitações").click()
        page.wait_for_url("**/buscas/*")
        search_id = page.url.rpartition("/")[2]
        loads = visitor.loads

        expect(page.get_by_role("heading", name="Gêneros alimentícios e refeições")).to_be_focused()
        expect(page.locator("#percent")).to_have_text(re.compile(r"^([5-9]|[1-9]\d)%$"), timeout=WITHIN)
        visitor.shoot("2-running")
        expect(page.locator(".banner")).to_be_visible(timeout=WITHIN)
        for uf in UFS:
            expect(page.locator(f'.tile[data-uf="{uf}"]')).to_have_attribute(
                "data-status", re.compile("complete|cached")
            )
        expect(page.locator("#coverage-words")).to_have_text("100% de cobertura — 3 de 3 estados")
        expect(page.locator("#results-title")).to_have_text(re.compile(r"^Resultados \([1-9]"))
        assert visitor.loads == loads

        found = farol.results(search_id)
        shown = page.get_by_role("article")
        expect(shown).to_have_count(min(50, len(found)))
        expect(shown.first.locator("h3")).to_have_text(found[0]["objeto"])

        badge = shown.first.get_by_role("button", name=re.compile("^Viabilidade"))
        badge.focus()
        page.keyboard.press("Enter")
        explained = page.get_by_role("tooltip")
        for factor in ("Modalidade (30%)", "Prazo (25%)", "Valor (25%)", "Localização (20%)"):
            expect(explained).to_contain_text(factor)
        visitor.page.screenshot(path=visitor.shots / "3-explained.png")
        page.keyboard.press("Escape")

        expect(page.locator("#summary-text")).not_to_contain_text("Escrevendo", timeout=WITHIN)
        expect(page.get_by_role("link", name="Baixar planilha")).to_be_visible(timeout=WITHIN)
        visitor.shoot("4-over")
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=visitor.shots / "busca.png")
        with page.expect_download() as download:
            page.get_by_role("link", name="Baixar planilha").click()
        download.value.save_as(tmp_path / "planilha.xlsx")
        book = openpyxl.load_workbook(io.BytesIO((tmp_path / "planilha.xlsx").read_bytes()))
        assert book.worksheets[0].max_row >= len(found)

        page.reload()
        expect(page.get_by_role("heading", name="Busca concluída")).to_be_visible()
        expect(shown).to_have_count(min(50, len(found)))
        words = page.locator("body").inner_text()
        assert not [line for line in words.splitlines() if SOURCES_NAMED.search(line)]
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert (visitor.complaints, visitor.foreign) == ([], [])
