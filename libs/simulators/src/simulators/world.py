"""The records as they lie around one day: dated, copied to volume, indexed; same arguments, same bytes."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final

from simulators.pcp_fill import completed_listing, from_pncp, local, status_on
from simulators.pncp_fill import PCP_LINK, completed
from simulators.recordings import Record, draw, recorded

DAYS: Final = 45  # publications lie on the last 45 days: about 1,300 records in any 10 of them
FEWEST_DAYS: Final = 8  # a UF with two records still has both in a 10-day search
WEEKEND: Final = 0.2
PCP_COPY: Final = 1_000_000
BY_ID_ONLY: Final = frozenset(
    {"orcamentoSigilosoCodigo", "orcamentoSigilosoDescricao", "existeResultado", "indicadorOrcamentoSigiloso"}
)
CNPJ_WEIGHTS: Final = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


@dataclass(frozen=True, slots=True)
class Compra:
    """Where one PNCP record (or one copy of it) lies: which record, which copy, moved by how many days."""

    base: int
    copy: int
    shift: int
    uf: str
    modalidade: int
    published: str
    updated: str
    closes: str | None


@dataclass(frozen=True, slots=True)
class Processo:
    """Where one PCP listing (or one copy of it) lies."""

    base: int
    copy: int
    shift: int
    codigo: int
    published: str


class World:
    """Everything both sources hold on `today`."""

    def __init__(self, *, today: date, seed: int = 0, scale: int = 1) -> None:
        if scale < 1:
            raise ValueError("scale is the number of copies of each record, at least 1")
        self.today, self.seed, self.scale = today, seed, scale
        self.bids, self.listings, self._bid_of_listing = _completed_records(seed)
        self.compras = self._dated_compras()
        self.processos = self._dated_processos()

    def _dated_compras(self) -> tuple[Compra, ...]:
        pairs = {row["numeroControlePNCP"] for row in recorded("cross_source_pairs")}
        entries = [(index, copy) for index in range(len(self.bids)) for copy in range(self.scale)]
        groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for index, copy in entries:
            groups[self.bids[index]["unidadeOrgao"]["ufSigla"]].append((index, copy))
        dated: list[Compra] = []
        for uf, members in groups.items():
            order = sorted(members, key=lambda m: draw(self.seed, self.bids[m[0]]["numeroControlePNCP"], m[1], "dia"))
            days = publication_days(len(order), self.today)
            for (index, copy), day in zip(order, days, strict=True):
                bid = self.bids[index]
                linked = bid["numeroControlePNCP"] in pairs
                dated.append(self._compra(index, copy, uf, day if not linked else max(day, self.today - timedelta(6))))
        return tuple(sorted(dated, key=lambda c: (c.published, c.base, c.copy)))

    def _compra(self, index: int, copy: int, uf: str, day: date) -> Compra:
        bid = self.bids[index]
        shift = (day - date.fromisoformat(bid["dataPublicacaoPncp"][:10])).days
        published = moved(bid["dataPublicacaoPncp"], shift)
        return Compra(
            base=index,
            copy=copy,
            shift=shift,
            uf=uf,
            modalidade=bid["modalidadeId"],
            published=published,
            updated=self._not_after_today(moved(bid["dataAtualizacaoGlobal"], shift), published),
            closes=moved(bid["dataEncerramentoProposta"], shift) if bid["dataEncerramentoProposta"] else None,
        )

    def _dated_processos(self) -> tuple[Processo, ...]:
        shift_of = {(compra.base, compra.copy): compra.shift for compra in self.compras}
        alone = [(i, c) for i in range(len(self.listings)) if i not in self._bid_of_listing for c in range(self.scale)]
        alone.sort(key=lambda m: draw(self.seed, "pcp", self.listings[m[0]]["codigoLicitacao"], m[1], "dia"))
        shifts = {
            (index, copy): (day - date.fromisoformat(self.listings[index]["dataHoraPublicacao"][:10])).days
            for (index, copy), day in zip(alone, publication_days(len(alone), self.today), strict=True)
        }
        for index, bid in self._bid_of_listing.items():
            for copy in range(self.scale):
                shifts[index, copy] = shift_of[bid, copy]
        dated = [
            Processo(
                base=index,
                copy=copy,
                shift=shift,
                codigo=self.listings[index]["codigoLicitacao"] + copy * PCP_COPY,
                published=moved(self.listings[index]["dataHoraPublicacao"], shift),
            )
            for (index, copy), shift in shifts.items()
        ]
        return tuple(sorted(dated, key=lambda p: (p.published, p.codigo)))

    def _not_after_today(self, time: str, published: str) -> str:
        """An update moved past today is an update of today: nothing has changed tomorrow yet."""
        return max(published, min(time, f"{self.today.isoformat()}{time[10:]}"))

    def bid(self, compra: Compra, *, by_id: bool = False) -> Record:
        """The PNCP payload of one compra; the list leaves out what only the by-id answer has."""
        base = self.bids[compra.base]
        record = {key: value for key, value in base.items() if by_id or key not in BY_ID_ONLY}
        for key in ("dataAberturaProposta", "dataEncerramentoProposta"):
            record[key] = moved(base[key], compra.shift) if base[key] else None
        record["dataPublicacaoPncp"] = compra.published
        for key in ("dataInclusao", "dataAtualizacao"):
            record[key] = self._not_after_today(moved(base[key], compra.shift), compra.published)
        record["dataAtualizacaoGlobal"] = compra.updated
        over = compra.closes is not None and compra.closes[:10] < self.today.isoformat()
        if not over:
            record["valorTotalHomologado"] = None
        if by_id:
            record.setdefault("orcamentoSigilosoCodigo", 1)
            record.setdefault("orcamentoSigilosoDescricao", "Compra sem sigilo")
            record.setdefault("indicadorOrcamentoSigiloso", "NAO")
            record["existeResultado"] = record["valorTotalHomologado"] is not None
        return _copied(record, compra.copy) if compra.copy else record

    def listing(self, processo: Processo) -> Record:
        """The PCP payload of one processo."""
        base = self.listings[processo.base]
        record = dict(base)
        for key in (
            "dataHoraInicioLances",
            "dataHoraInicioPropostas",
            "dataHoraFinalPropostas",
            "dataHoraFinalLances",
            "dataHoraPublicacao",
        ):
            record[key] = moved(base[key], processo.shift) if base[key] else None
        final = record["dataHoraFinalPropostas"]
        record |= status_on(final, base.get("status"), self.today.isoformat(), self.seed, processo.codigo)
        if processo.copy:
            record["codigoLicitacao"] = processo.codigo
            record["urlReferencia"] = re.sub(r"\d+$", str(processo.codigo), record["urlReferencia"])
        return record

    def warm(self) -> None:
        """Build every index now, so that no request waits for one."""
        _ = self.by_key, self.by_codigo, self._processo_days
        _ = self._by_publication, self._by_update, self._by_closing

    @cached_property
    def by_key(self) -> dict[tuple[str, int, int], Compra]:
        """Each compra by its identity: CNPJ, year and sequence."""
        return {self.identity(compra): compra for compra in self.compras}

    @cached_property
    def by_codigo(self) -> dict[int, Processo]:
        """Each processo by its codigoLicitacao."""
        return {processo.codigo: processo for processo in self.processos}

    def identity(self, compra: Compra) -> tuple[str, int, int]:
        """The identity of one compra, of its copy's orgao when it is a copy."""
        base = self.bids[compra.base]
        return copied_cnpj(base["orgaoEntidade"]["cnpj"], compra.copy), base["anoCompra"], base["sequencialCompra"]

    def list_of(self, compra: Compra) -> str:
        """The recorded number that names the item list of a compra, whatever copy it is."""
        return str(self.bids[compra.base]["numeroControlePNCP"])

    def list_of_processo(self, processo: Processo) -> str:
        """The recorded number that names the item list of a processo: its PNCP side's, when it has one."""
        bid = self._bid_of_listing.get(processo.base)
        if bid is not None:
            return str(self.bids[bid]["numeroControlePNCP"])
        return f"pcp:{self.listings[processo.base]['codigoLicitacao']}"

    def published_between(self, first: date, last: date, *, uf: str | None, modalidade: int | None) -> Sequence[Compra]:
        """The compras published on these days, oldest first."""
        rows = self._by_publication.get((uf, modalidade), ())
        return _between(rows, lambda compra: compra.published, first, last)

    def updated_between(self, first: date, last: date, *, uf: str | None, modalidade: int | None) -> Sequence[Compra]:
        """The compras last changed on these days, the earliest change first."""
        rows = self._by_update.get((uf, modalidade), ())
        return _between(rows, lambda compra: compra.updated, first, last)

    def open_until(self, last: date, *, uf: str | None, modalidade: int | None) -> Sequence[Compra]:
        """The compras that take proposals today and stop at the latest on `last`."""
        rows = self._by_closing.get((uf, modalidade), ())
        return _between(rows, lambda compra: compra.closes or "", self.today, last)

    def processos_between(self, first: date | None, last: date | None) -> Sequence[Processo]:
        """The processos published on these days, days being UTC; None leaves that side open."""
        days = self._processo_days
        return self.processos[
            bisect_left(days, first.isoformat()) if first else 0 : bisect_right(days, f"{last}T99") if last else None
        ]

    @cached_property
    def _processo_days(self) -> list[str]:
        return [processo.published for processo in self.processos]

    @cached_property
    def _by_publication(self) -> dict[tuple[str | None, int | None], list[Compra]]:
        return _indexed(self.compras)

    @cached_property
    def _by_update(self) -> dict[tuple[str | None, int | None], list[Compra]]:
        return _indexed(sorted(self.compras, key=lambda c: (c.updated, c.base, c.copy)))

    @cached_property
    def _by_closing(self) -> dict[tuple[str | None, int | None], list[Compra]]:
        closing = (compra for compra in self.compras if compra.closes)
        return _indexed(sorted(closing, key=lambda c: (c.closes or "", c.base, c.copy)))


def moved(time: str, days: int) -> str:
    """The same time of day, that many days later."""
    return (date.fromisoformat(time[:10]) + timedelta(days)).isoformat() + time[10:]


def publication_days(count: int, today: date) -> list[date]:
    """One day for each of `count` publications, evenly over the latest days, weekends thinner, every share kept."""
    span = min(DAYS, max(FEWEST_DAYS, count))
    days = [today - timedelta(back) for back in range(span)]
    weights = [WEEKEND if day.weekday() >= 5 else 1.0 for day in days]  # noqa: PLR2004 - Saturday and Sunday
    total, reached, chosen, index = sum(weights), weights[0], [], 0
    for rank in range(count):
        while reached < (rank + 0.5) / count * total:
            index += 1
            reached += weights[index]
        chosen.append(days[index])
    return chosen


def copied_cnpj(cnpj: str, copy: int) -> str:
    """The CNPJ of the orgao in the given copy, its check digits right; copy 0 is the orgao itself."""
    if not copy:
        return cnpj
    body = f"{(int(cnpj[:8]) + copy * 1_234_577) % 100_000_000:08}{cnpj[8:12]}"
    for weights in (CNPJ_WEIGHTS[1:], CNPJ_WEIGHTS):
        rest = sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11
        body += "0" if rest < 2 else str(11 - rest)  # noqa: PLR2004 - the rule of the check digit
    return body


def _copied(record: Record, copy: int) -> Record:
    cnpj = copied_cnpj(record["orgaoEntidade"]["cnpj"], copy)
    record["orgaoEntidade"] = {**record["orgaoEntidade"], "cnpj": cnpj}
    record["numeroControlePNCP"] = cnpj + record["numeroControlePNCP"][14:]
    if link := PCP_LINK.search(record.get("linkSistemaOrigem") or ""):
        codigo = int(link[3]) + copy * PCP_COPY
        record["linkSistemaOrigem"] = re.sub(r"\d+/?$", str(codigo), record["linkSistemaOrigem"])
    return record


def _between(rows: Sequence[Compra], time: Callable[[Compra], str], first: date, last: date) -> Sequence[Compra]:
    return rows[bisect_left(rows, first.isoformat(), key=time) : bisect_right(rows, f"{last.isoformat()}T99", key=time)]


def _indexed(compras: Iterable[Compra]) -> dict[tuple[str | None, int | None], list[Compra]]:
    index: dict[tuple[str | None, int | None], list[Compra]] = defaultdict(list)
    for compra in compras:
        for key in ((compra.uf, compra.modalidade), (compra.uf, None), (None, compra.modalidade), (None, None)):
            index[key].append(compra)
    return dict(index)


def _completed_records(seed: int) -> tuple[list[Record], list[Record], dict[int, int]]:
    """Every bid and listing, complete but undated, and which bid each listing is the other side of."""
    listed = {
        row["codigoLicitacao"]: row for name in ("pcp_processos_partial", "pcp_processos") for row in recorded(name)
    }
    bids: list[Record] = []
    sides: dict[int, tuple[int, Record]] = {}
    for row in (*recorded("pncp_contratacoes"), *recorded("pncp_contratacoes_partial")):
        link = PCP_LINK.search(row.get("linkSistemaOrigem") or "")
        other = listed.get(int(link[3])) if link else None
        bid = completed(_with_times_of(row, other) if other else row, seed)
        if (derived := from_pncp(bid)) is not None:
            sides[derived["codigoLicitacao"]] = (len(bids), derived)
        bids.append(bid)
    listings = [
        completed_listing({**sides[codigo][1], **row} if codigo in sides else row, seed)
        for codigo, row in listed.items()
    ]
    bid_of = {index: sides[codigo][0] for index, codigo in enumerate(listed) if codigo in sides}
    for codigo, (bid_index, derived) in sides.items():
        if codigo not in listed:
            bid_of[len(listings)] = bid_index
            listings.append(completed_listing(derived, seed))
    return bids, listings, bid_of


def _with_times_of(row: Record, listing: Record) -> Record:
    """The PNCP record, the times that its copy lost taken from the same bid's listing."""
    times = {
        "dataAberturaProposta": local(listing["dataHoraInicioPropostas"]),
        "dataEncerramentoProposta": local(listing["dataHoraFinalPropostas"]),
    }
    return {**times, **row}
