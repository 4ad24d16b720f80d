"""The page as it leaves the server: complete, small, same-origin, and silent about the sources."""

import gzip
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts.places import UFS
from contracts.sectors import SECTORS
from contracts.values import MODALIDADES
from gateway import page
from gateway.domain.keys import LocalKey
from gateway.http import create_http
from gateway.page.assets import Assets
from gateway.page.shell import tiles
from gateway.routes.ports import Desk

KEY = "farol_page_0123456789abcdef"
NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
"""Still the 21st in São Paulo."""
A_BID = "12345678000190-1-000042/2026"
AN_ID = "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"
PAGES = ("/", f"/buscas/{AN_ID}", "/buscas/nada", f"/licitacoes/{A_BID}", "/cobertura", "/triagem")
FIRST_LOAD = 150_000
FORBIDDEN = re.compile(
    r"pncp|portal\s+(nacional\s+)?de\s+(compras|contrata)|\bpcp\b|\b(\d+|duas|dois|ambas)\s+(as\s+)?(fontes|bases|portais)\b",
    re.IGNORECASE,
)


class Tags(HTMLParser):
    """Every element with its attributes, and what stands inside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.inline: list[str] = []
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in {"script", "style"} and data.strip():
            self.inline.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, Any]]:
        return [attrs for name, attrs in self.found if name == tag and attributes.items() <= attrs.items()]


@pytest_asyncio.fixture
async def http(stage) -> AsyncIterator[httpx.AsyncClient]:
    desk = Desk(
        publisher=stage,
        searches=stage,
        key=LocalKey(KEY),
        clock=lambda: NOW,
        search_budget=timedelta(seconds=360),
        wait_max=timedelta(seconds=1),
        max_streams=1,
    )
    transport = httpx.ASGITransport(create_http(desk, pages=(page.router(clock=lambda: NOW),)))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://farol.test", headers={"Authorization": f"Bearer {KEY}"}
    ) as client:
        yield client


def texts() -> dict[str, str]:
    """Every text that the page is made of, by its path; a licence speaks for itself."""
    found: dict[str, str] = {}
    root = files("gateway.page")
    folders = [(root / "templates", "templates/"), (root / "static", "static/")]
    while folders:
        folder, prefix = folders.pop()
        for each in folder.iterdir():
            if each.is_dir():
                folders.append((each, f"{prefix}{each.name}/"))
            elif not each.name.endswith((".woff2", ".txt")):
                found[prefix + each.name] = each.read_text(encoding="utf-8")
    return found


class TestHome:
    async def test_asks_for_everything_that_a_search_can_name(self, http):
        tags = Tags((await http.get("/")).text)

        assert {attrs["value"] for attrs in tags.all("input", name="ufs")} == {uf.value for uf in UFS}
        assert {int(attrs["value"]) for attrs in tags.all("input", name="modalidades")} == set(MODALIDADES)
        options = {attrs["value"] for attrs in tags.all("option")}
        assert options >= SECTORS.keys()
        assert len(tags.all("input", **{"data-region": None})) == 5

    async def test_proposes_the_last_ten_days_of_sao_paulo(self, http):
        tags = Tags((await http.get("/")).text)

        assert tags.all("input", id="date_from")[0]["value"] == "2026-11-12"
        assert tags.all("input", id="date_to")[0]["value"] == "2026-11-21"

    async def test_ticks_the_default_modalidades(self, http):
        tags = Tags((await http.get("/")).text)

        ticked = [attrs["value"] for attrs in tags.all("input", name="modalidades") if "checked" in attrs]
        assert ticked == ["4", "5", "6", "7", "8"]

    async def test_labels_every_field(self, http):
        html = (await http.get("/")).text
        tags = Tags(html)

        labelled = {attrs["for"] for attrs in tags.all("label") if "for" in attrs}
        fields = [attrs for tag in ("input", "select") for attrs in tags.all(tag) if "id" in attrs]
        assert {attrs["id"] for attrs in fields} <= labelled
        loose = [attrs for attrs in tags.all("input") if "id" not in attrs]
        wrapped = re.findall(r"<label[^>]*><input[^>]*>.*?</label>", html)
        assert len(loose) == len(wrapped)

    async def test_names_only_descriptions_and_links_that_exist(self, http):
        tags = Tags((await http.get("/")).text)

        ids = [attrs["id"] for _, attrs in tags.found if "id" in attrs]
        named = {
            name
            for _, attrs in tags.found
            for key in ("aria-describedby", "aria-labelledby", "for")
            for name in (attrs.get(key) or "").split()
        }
        assert len(ids) == len(set(ids))
        assert named <= set(ids)

    async def test_is_for_those_who_signed_in(self, http):
        refused = await http.get("/", headers={"Authorization": "", "Accept": "text/html"})

        assert (refused.status_code, refused.headers["location"]) == (303, "/entrar")


class TestAddressOfASearch:
    async def test_starts_from_the_same_shell(self, http):
        answer = await http.get(f"/buscas/{AN_ID}")

        assert answer.status_code == 200
        assert '<body data-view="search">' in answer.text

    async def test_says_so_where_none_can_be(self, http):
        answer = await http.get("/buscas/nada")

        assert answer.status_code == 404
        assert '<body data-view="lost">' in answer.text
        assert "Busca não encontrada" in answer.text


class TestPolicy:
    @pytest.mark.parametrize("address", PAGES)
    async def test_needs_nothing_inline_and_nothing_from_elsewhere(self, http, address):
        answer = await http.get(address)
        tags = Tags(answer.text)

        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert tags.inline == []
        assert [
            attrs for _, attrs in tags.found if "style" in attrs or any(key.startswith("on") for key in attrs)
        ] == []
        addresses = [
            attrs.get("src") or attrs.get("href") for _, attrs in tags.found if "src" in attrs or "href" in attrs
        ]
        assert all(each.startswith(("/", "#")) and not each.startswith("//") for each in addresses)

    def test_never_parses_what_it_is_given(self):
        scripts = {path: text for path, text in texts().items() if path.endswith(".js")}

        assert scripts
        risky = re.compile(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style"
        )
        assert [path for path, text in scripts.items() if risky.search(text)] == []

    def test_names_no_foreign_address(self):
        foreign = re.compile(r"https?://(?!www\.w3\.org/2000/svg)")

        assert [path for path, text in texts().items() if foreign.search(text)] == []


class TestWeight:
    async def test_stays_small_with_everything_loaded(self, http):
        html = (await http.get("/")).content
        assets = Assets.read()

        loaded = [asset.gzipped or asset.body for path, asset in assets.by_path.items() if not path.endswith(".txt")]
        assert len(html) + sum(map(len, loaded)) <= FIRST_LOAD


class TestStatic:
    async def test_keeps_files_of_this_version_for_ever(self, http):
        answer = await http.get(Assets.read().url("main.js"))

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]

    async def test_asks_again_for_those_of_another_version(self, http):
        url = Assets.read().url("main.js").replace(Assets.read().version, "outra")

        first = await http.get(url)
        again = await http.get(url, headers={"If-None-Match": first.headers["etag"]})

        assert first.headers["cache-control"] == "no-cache"
        assert (again.status_code, again.content) == (304, b"")

    async def test_is_packed_for_those_who_unpack(self, http):
        url = Assets.read().url("search.css")

        packed = await http.get(url, headers={"Accept-Encoding": "gzip"})
        plain = await http.get(url, headers={"Accept-Encoding": "identity"})

        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content == gzip.decompress(Assets.read().by_path["search.css"].gzipped)

    @pytest.mark.parametrize("path", ["nada.js", "..%2fshell.py", "%2e%2e/shell.py", "templates/shell.html", ""])
    async def test_has_no_other_files(self, http, path):
        answer = await http.get(f"/static/x/{path}")

        assert answer.status_code == 404
        assert "Shell" not in answer.text


class TestWords:
    """C01: the sources are neither named nor counted."""

    def test_of_templates_styles_and_scripts_name_no_source(self):
        named = {path: FORBIDDEN.findall(text) for path, text in texts().items() if FORBIDDEN.search(text)}

        assert texts()
        assert named == {}

    @pytest.mark.parametrize("address", [*PAGES, "/entrar"])
    async def test_of_every_page_name_no_source(self, http, address):
        assert FORBIDDEN.search((await http.get(address)).text) is None

    @pytest.mark.parametrize(
        "text",
        ["Dados do PNCP", "Portal de Compras Públicas", "consultamos 2 fontes", "nas duas bases", "ambas as fontes"],
    )
    def test_would_be_found(self, text):
        assert FORBIDDEN.search(text)

    def test_of_an_outage_are_never_those_of_an_empty_result(self):
        views = texts()["static/views.js"]
        outage = views[views.index('status === "empty_failure"') : views.index('status === "cancelled"')]

        assert "Fontes temporariamente indisponíveis" in views
        assert "enhuma" not in outage


class TestMap:
    def test_shows_every_uf_once_and_no_two_in_one_place(self):
        placed = tiles()

        assert sorted(tile.uf for tile in placed) == sorted(UFS)
        assert len({(tile.row, tile.column) for tile in placed}) == len(UFS)

    @pytest.mark.parametrize(
        ("north", "south"),
        [("RR", "AM"), ("AP", "MA"), ("GO", "SP"), ("SP", "PR"), ("PR", "SC"), ("SC", "RS"), ("BA", "DF")],
    )
    def test_keeps_north_above_south(self, north, south):
        row = {tile.uf: tile.row for tile in tiles()}

        assert row[north] < row[south]


class TestContrast:
    """WCAG AA over the colours of both themes."""

    PAIRS = (
        ("ink", "paper"), ("ink", "sheet"), ("ink", "sunk"), ("soft", "paper"), ("soft", "sheet"), ("soft", "sunk"),
        ("sea", "paper"), ("sea", "sheet"), ("lamp-ink", "lamp"), ("ink", "mark"), ("sheet", "sea"),
        *((tone, f"{tone}-wash") for tone in ("green", "amber", "rust", "red", "blue", "gray")),
        *((tone, "sheet") for tone in ("green", "amber", "rust", "red", "blue", "gray")),
        *(("ink", f"{tone}-wash") for tone in ("green", "amber", "rust", "red", "gray")),
    )  # fmt: skip

    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize(("front", "back"), PAIRS)
    def test_of_text_is_at_least_4_5(self, theme, front, back):
        light, _, rest = texts()["static/base.css"].partition("@media (prefers-color-scheme: dark)")
        dark = rest.partition("*, *::before")[0]
        colours = _colours(light) | (_colours(dark) if theme == "dark" else {})

        assert _contrast(colours[front], colours[back]) >= 4.5


def _colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6});", css))


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
