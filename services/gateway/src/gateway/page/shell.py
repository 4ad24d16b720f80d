"""The HTML that every address of the page starts from; what it shows of a search comes by the API."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from contracts.places import UF, UFS, Regiao
from contracts.query import DEFAULT_DAYS, DEFAULT_MODALIDADES
from contracts.sectors import SECTORS
from contracts.values import MODALIDADES
from gateway.page.assets import Assets

TILES: Final[tuple[str, ...]] = (
    ".  RR .  AP .  .  .",
    ".  AM PA MA PI CE RN",
    "AC RO MT TO BA PE PB",
    ".  .  MS GO DF SE AL",
    ".  .  .  SP MG ES .",
    ".  .  .  PR RJ .  .",
    ".  .  .  SC .  .  .",
    ".  .  .  RS .  .  .",
)
"""The country as a grid of equal tiles, each beside its neighbours as far as a grid allows."""


PORTES: Final[tuple[tuple[str, str, int | None], ...]] = (
    ("mei", "MEI", 81_000),
    ("me", "Microempresa", 360_000),
    ("epp", "Pequeno porte (EPP)", 4_800_000),
    ("demais", "Médio ou grande", None),
)
"""Sizes of a company with the most it may earn in a year, in reais (Lei Complementar 123/2006, arts. 3 and 18-A)."""


View = Literal["home", "search", "lost", "bid", "coverage", "triage"]
"""What is seen at first; `lost` is an address that cannot be that of a search."""

_OWN: Final[frozenset[View]] = frozenset({"bid", "coverage", "triage"})
"""Pages with a template and a script of their own; the others share those of a search."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One UF on the map of tiles; row and column count from 1."""

    uf: UF
    row: int
    column: int


class Shell:
    """Renders the templates; one rendering a day is kept for each of the few shapes."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._templates = Environment(
            loader=PackageLoader("gateway.page", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.render = lru_cache(maxsize=8)(self._render)

    def _render(self, today: date, view: View) -> str:
        """The page as it is before the API has said anything."""
        template, entry = (f"{view}.html", f"{view}.js") if view in _OWN else ("shell.html", "main.js")
        return self._templates.get_template(template).render(
            asset=self._assets.url,
            entry=entry,
            modules=self._assets.modules(entry),
            sectors=sorted(SECTORS.items(), key=lambda sector: sector[1]),
            regions=[(regiao, [uf for uf in UFS if uf.regiao is regiao]) for regiao in Regiao],
            ufs=sorted(UFS, key=lambda uf: uf.nome),
            tiles=tiles(),
            modalidades=[(each, each in DEFAULT_MODALIDADES) for each in MODALIDADES],
            portes=PORTES,
            today=today,
            first_day=today - timedelta(days=DEFAULT_DAYS - 1),
            default_days=DEFAULT_DAYS,
            view=view,
        )


def tiles() -> tuple[Tile, ...]:
    """The tiles of the map in reading order."""
    return tuple(
        Tile(uf=UF(sigla), row=row, column=column)
        for row, line in enumerate(TILES, 1)
        for column, sigla in enumerate(line.split(), 1)
        if sigla != "."
    )
