"""The summary that needs no model: every figure in it is counted from the answer."""

from collections import Counter
from datetime import datetime
from decimal import Decimal
from heapq import nsmallest
from typing import Final

from contracts.answer import Answer, Result
from contracts.brasileiro import dia, lista, quantos, reais
from contracts.query import Scope, SearchQuery
from contracts.report import Summary
from contracts.search import Completed
from contracts.sectors import SECTORS
from contracts.state import Coverage, Degradation, Freshness, Status, UfStatusKind

TOP_UFS: Final = 3
NEXT_CLOSINGS: Final = 3
OBJETO_LENGTH: Final = 110
FEW_UFS: Final = 6
"""Up to so many are named one by one."""

_FRESHNESS: Final = {
    Freshness.LIVE: "com dados consultados agora",
    Freshness.CACHED_FRESH: "com dados guardados que ainda valem",
    Freshness.CACHED_STALE: "com dados guardados que já pediam atualização",
}


def summarize(answer: Answer) -> Summary:
    """The fallback summary of a whole answer: pure, and fast enough to be made inside any request."""
    closings = _closings(answer)
    paragraphs = [
        _found(answer),
        _places(answer),
        _closing_sentence(closings),
        coverage_sentence(answer.coverage),
        degraded_sentence(answer.status, answer.degraded, answer.coverage),
        pending_sentence(answer.llm_pending),
    ]
    return Summary(
        text="\n\n".join(filter(None, paragraphs)),
        highlights=tuple(_highlight(result) for result in answer.results[:NEXT_CLOSINGS]),
        method="fallback",
    )


def summarize_outcome(completed: Completed) -> Summary:
    """What can be said when the answer cannot be read: the terminal fact carries counts, coverage and first rows."""
    if completed.total:
        found = f"A pesquisa encontrou {_licitacoes(completed.total)}."
    else:
        found = _nothing(completed.status, completed.coverage, "para esta pesquisa")
    paragraphs = [
        found,
        coverage_sentence(completed.coverage),
        degraded_sentence(completed.status, completed.degraded, completed.coverage),
        pending_sentence(completed.llm_pending),
    ]
    return Summary(
        text="\n\n".join(filter(None, paragraphs)),
        highlights=tuple(_highlight(result) for result in completed.first_rows[:NEXT_CLOSINGS]),
        method="fallback",
    )


def coverage_sentence(coverage: Coverage) -> str:
    """How much was really looked at, UF by UF where something is missing."""
    asked = coverage.ufs_requested
    how_fresh = f", {_FRESHNESS[coverage.freshness]}" if coverage.freshness else ""
    if coverage.coverage_pct == 100:  # noqa: PLR2004 - the whole of it
        places = (
            "a UF pedida foi verificada por completo" if asked == 1 else f"as {asked} UFs pedidas foram verificadas"
        )
        return f"Cobertura de 100%: {places}{how_fresh}."
    partial = [s.uf for s in coverage.ufs_status_detail if s.status is UfStatusKind.PARTIAL]
    failed = [s.uf for s in coverage.ufs_status_detail if s.status in {UfStatusKind.FAILED, UfStatusKind.PENDING}]
    parts = [f"em parte: {lista(partial)}" if partial else "", f"sem verificação: {lista(failed)}" if failed else ""]
    missing = f" ({'; '.join(filter(None, parts))})" if any(parts) else ""
    ufs = f"{coverage.ufs_processed} de {quantos(asked, 'UF pedida', 'UFs pedidas')}"
    return f"Cobertura de {coverage.coverage_pct}%: {ufs}{missing}{how_fresh}."


def degraded_sentence(status: Status, degraded: Degradation | None, coverage: Coverage) -> str:
    """What it means for the reader that this is less than was asked; empty when it is not."""
    if status is Status.CANCELLED:
        return "A pesquisa foi cancelada antes do fim: o que aparece aqui é o que já havia sido verificado."
    if status is not Status.DEGRADED:
        return ""
    reason = f" ({degraded.reason.rstrip('.')})" if degraded else ""
    age = ""
    if degraded and degraded.cache_age_hours is not None:
        age = f" Parte dos dados foi guardada há {quantos(round(degraded.cache_age_hours), 'hora', 'horas')}."
    more = " No que não foi verificado pode haver outras licitações." if coverage.coverage_pct < 100 else ""  # noqa: PLR2004 - the whole of it
    return f"Resultado parcial{reason}.{age}{more}"


def _found(answer: Answer) -> str:
    subject = _subject(answer.query)
    if not answer.results:
        return _nothing(answer.status, answer.coverage, f"{subject}, {_window(answer.query)}")
    values = [result.valor_estimado for result in answer.results if result.valor_estimado is not None]
    unknown = len(answer.results) - len(values)
    if not values:
        value = "Nenhuma delas informa o valor estimado."
    else:
        rest = f" ({unknown} sem valor informado)" if unknown else ""
        value = f"O valor estimado soma {reais(sum(values, Decimal(0)))}{rest}."
    return f"Foram encontradas {_licitacoes(len(answer.results))} {subject}, {_window(answer.query)}. {value}".replace(
        "Foram encontradas 1 licitação", "Foi encontrada 1 licitação"
    )


def _nothing(status: Status, coverage: Coverage, what: str) -> str:
    if status is Status.EMPTY_FAILURE or coverage.coverage_pct == 0:
        return "Fontes temporariamente indisponíveis: não foi possível verificar se há licitações. Tente novamente."
    return f"Nenhuma licitação foi encontrada {what}, no que foi verificado."


def _licitacoes(count: int) -> str:
    return quantos(count, "licitação", "licitações")


def _subject(query: SearchQuery) -> str:
    ufs = lista(query.ufs) if len(query.ufs) <= FEW_UFS else f"{len(query.ufs)} UFs"
    what = f"de {SECTORS[query.sector]}" if query.sector else f"para {lista([f'“{term}”' for term in query.terms])}"
    return f"{what} em {ufs}"


def _window(query: SearchQuery) -> str:
    if query.scope is Scope.OPEN:
        return f"abertas em {dia(query.date_to)}"
    if query.date_from == query.date_to:
        return f"publicadas em {dia(query.date_to)}"
    return f"publicadas de {dia(query.date_from)} a {dia(query.date_to)}"


def _places(answer: Answer) -> str:
    by_uf = Counter(result.uf for result in answer.results)
    if len(by_uf) < 2:  # noqa: PLR2004 - one UF needs no ranking
        return ""
    first = sorted(by_uf.items(), key=lambda entry: (-entry[1], entry[0]))[:TOP_UFS]
    return f"UFs com mais licitações: {lista([f'{uf} ({count})' for uf, count in first])}."


def _closings(answer: Answer) -> list[tuple[datetime, Result]]:
    now = answer.finished_at
    dated = ((r.data_encerramento, r) for r in answer.results if r.data_encerramento and r.data_encerramento >= now)
    return nsmallest(NEXT_CLOSINGS, dated, key=lambda entry: (entry[0], entry[1].id))


def _closing_sentence(closings: list[tuple[datetime, Result]]) -> str:
    if not closings:
        return ""
    lines = [f"{dia(closing)}: {result.orgao} ({result.uf}), {_cut(result.objeto)}" for closing, result in closings]
    return "Encerramentos mais próximos:\n" + "\n".join(lines)


def _highlight(result: Result) -> str:
    value = f", {reais(result.valor_estimado)}" if result.valor_estimado is not None else ""
    closing = f", propostas até {dia(result.data_encerramento)}" if result.data_encerramento else ""
    return f"{result.orgao} ({result.uf}): {_cut(result.objeto)}{value}{closing}"


def pending_sentence(llm_pending: int) -> str:
    """How many cases rules alone decided, where a model was due; empty when none."""
    if not llm_pending:
        return ""
    return f"{quantos(llm_pending, 'caso duvidoso foi decidido', 'casos duvidosos foram decididos')} apenas por regras."


def _cut(text: str) -> str:
    return text if len(text) <= OBJETO_LENGTH else text[:OBJETO_LENGTH].rsplit(" ", 1)[0] + "…"
