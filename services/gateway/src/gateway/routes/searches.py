"""Asking for a search, its state, its results and why a bid is or is not among them."""

import asyncio
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final
from uuid import uuid4

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.control import Flag
from contracts.fold import SearchState
from contracts.places import UF
from contracts.query import SearchQuery, SearchRequest, Sort
from contracts.search import Cancelled, Requested
from contracts.state import SearchView
from contracts.subjects import CANCELLED, REQUESTED, Outgoing
from contracts.values import Modalidade, SearchId
from contracts.verdict import Confidence, ViabilityLevel
from contracts.when import day_of
from gateway.domain.hit import Hit
from gateway.domain.keys import Caller
from gateway.domain.once import Begun
from gateway.domain.problem import FieldError, Problem, invalid
from gateway.domain.results import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    BadCursorError,
    ResultFilter,
    ResultsPage,
    Rows,
    ShownResult,
    page_of,
)
from gateway.domain.standing import Explanation
from gateway.domain.wording import named
from gateway.routes.caps import within_caps
from gateway.routes.describing import linked, links, problems
from gateway.routes.ports import AtDesk, Desk, InPath, Memory, TheCaller
from servicekit.envelope import Ack
from servicekit.errors import DependencyAway, Transient, Unavailable
from servicekit.logs import log
from servicekit.telemetry.tracing import about, of_search, span

router = APIRouter(
    prefix="/v1/searches", tags=["buscas"], responses=problems("key.missing", "key.wrong", "bus.unavailable")
)

_STORED_WITHIN: Final = 4.0
"""Seconds until the asker is told to come back rather than kept waiting."""
_LOOKS: Final = 5
_BETWEEN_LOOKS: Final = 0.2
"""Seconds; a coordinator that was only slow for a moment costs the asker no refusal."""
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})(?:$|[,;\s])", re.IGNORECASE)

EXAMPLES: Final = {
    "setor": {
        "summary": "Um setor em dois estados, publicações dos últimos 10 dias",
        "value": {"ufs": ["SP", "RJ"], "sector": "vestuario"},
    },
    "termos": {
        "summary": "Termos próprios, um período e uma faixa de valor",
        "value": {
            "ufs": ["MG"],
            "terms": ["câmera de segurança", "CFTV"],
            "date_from": "2026-11-01",
            "date_to": "2026-11-20",
            "value_min": "50000",
            "home_uf": "MG",
            "sort": "closing",
        },
    },
}


class Selection(BaseModel):
    """Which of the results a reader wants, and in which order."""

    model_config = ConfigDict(extra="ignore")

    sort: Sort | None = Field(default=None, description="Sem ele, a ordem que a busca pediu.")
    uf: list[UF] = Field(default_factory=list)
    modalidade: list[Modalidade] = Field(default_factory=list)
    confidence: list[Confidence] = Field(default_factory=list)
    viability: list[ViabilityLevel] = Field(default_factory=list)
    value_min: Decimal | None = Field(default=None, ge=0)
    value_max: Decimal | None = Field(default=None, ge=0)
    q: str | None = Field(default=None, max_length=100, description="Texto no objeto, órgão ou município.")

    @property
    def filter(self) -> ResultFilter:
        """The part that leaves rows out."""
        return ResultFilter(
            uf=tuple(self.uf), modalidade=tuple(self.modalidade), confidence=tuple(self.confidence),
            viability=tuple(self.viability), value_min=self.value_min, value_max=self.value_max, q=self.q,
        )  # fmt: skip


class Wanted(Selection):
    """One page of that selection."""

    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` da página anterior.")
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    new: bool = Field(default=False, description="Só o que nenhuma busca anterior sua mostrou.")


@router.post(
    "",
    status_code=202,
    summary="Pedir uma busca",
    responses={
        200: {
            "model": SearchView,
            "description": "Há uma resposta guardada, ou a busca terminou dentro do tempo de `Prefer: wait`.",
        },
        202: {
            "description": "A busca foi aceita.",
            "headers": {"Location": {"description": "O estado da busca.", "schema": {"type": "string"}}},
        },
        **problems(
            "idempotency.in_flight", "idempotency.mismatch", "searches.too_many", "usage.day_spent",
            "searches.backed_up", "searches.closed", "json.invalid", "body.timeout", "body.too_large",
            "media_type.unsupported", "request.invalid",
        ),
    },
)  # fmt: skip
async def ask(
    body: Annotated[SearchRequest, Body(openapi_examples=EXAMPLES)],
    request: Request,
    response: Response,
    desk: AtDesk,
    caller: TheCaller,
    prefer: Annotated[str | None, Header(description="`wait=30` espera até 30 s pelo fim.")] = None,
) -> SearchView:
    """Accept a search: the reply goes out once its request is stored in the log."""
    now = desk.clock()
    effect: Begun | None = getattr(request.state, "effect", None)
    search_id = effect.effect_id if effect else uuid4().hex
    if effect and effect.again and (view := await _asked_before(search_id, caller, desk)):
        response.headers["Location"] = links(search_id)["self"]
        return view
    asked = Requested(
        search_id=search_id,
        tenant=caller.tenant,
        query=_validated(body, search_id, now=now),
        created_at=now,
        deadline=now + desk.search_budget,
        correlation_id=request.state.correlation_id,
    )
    response.headers["Location"] = links(search_id)["self"]
    waits = _WAIT.search(prefer or "")
    hit = await desk.memory.look(asked.query.key, force=asked.query.force_refresh) if desk.memory else None
    if hit is not None and desk.memory is not None:
        view = await _answered(asked, hit, desk, desk.memory)
        response.status_code = 200
    else:
        asked = await within_caps(asked, desk)
        await _admit(asked, request, desk)
        view = await _publish(asked, desk, now=now)
    if waits is None or not view.live_fetch_in_progress:
        return linked(view)
    wait = min(timedelta(seconds=int(waits[1])), desk.wait_max)
    view = await desk.searches.wait_until_over(search_id, within=wait) or view
    response.headers["Preference-Applied"] = f"wait={int(wait.total_seconds())}"
    if hit is not None:
        return linked(view)
    response.status_code = 200 if view.status.terminal else 202
    return linked(view)


@router.get("/{search_id}", summary="Estado de uma busca", responses=problems("search.not_found"))
async def state(search_id: InPath, desk: AtDesk) -> SearchView:
    """The state as it is now: accepted, running, or how it ended."""
    return linked(await view_of(search_id, desk))


@router.delete(
    "/{search_id}",
    status_code=202,
    summary="Cancelar uma busca",
    responses={
        200: {"model": SearchView, "description": "A busca já havia terminado."},
        202: {"description": "O cancelamento foi pedido; a busca termina em instantes, com o que já encontrou."},
        **problems("search.not_found"),
    },
)
async def cancel(search_id: InPath, desk: AtDesk, response: Response) -> SearchView:
    """Ask a search to end now; what it has found so far is its answer. Asking twice is asking once."""
    view = await view_of(search_id, desk)
    if view.status.terminal:
        response.status_code = 200
        return linked(view)
    wish = Cancelled(search_id=search_id, at=desk.clock())
    await _store(CANCELLED.message(wish, search_id=search_id), desk)
    log.info("search_cancelled", search_id=search_id)
    return linked(view)


@router.get(
    "/{search_id}/results",
    summary="Resultados de uma busca",
    responses=problems("search.not_found", "request.invalid", "cursor.invalid"),
)
async def results(
    search_id: InPath,
    desk: AtDesk,
    caller: TheCaller,
    request: Request,
    wanted: Annotated[Wanted, Query()],
) -> ResultsPage:
    """One page of the rows: of the answer once there is one, of what is accepted so far before."""
    rows = await desk.searches.rows(search_id)
    if rows is None:
        raise Problem("search.not_found")
    total = len(rows.results)
    if wanted.new:
        rows = await _only_new(rows, search_id, caller, desk)
    try:
        page = page_of(
            rows, search_id=search_id, wanted=wanted.filter, sort=wanted.sort, cursor=wanted.cursor, limit=wanted.limit
        )
    except BadCursorError as exc:
        raise Problem("cursor.invalid", errors=(FieldError(parameter="cursor", message="cursor inválido"),)) from exc
    page.total = total
    page.results = await _as_seen(page.results, search_id, caller, desk)
    page.links["search"] = links(search_id)["self"]
    if page.next_cursor:
        page.links["next"] = str(
            request.url.include_query_params(cursor=page.next_cursor).replace(scheme="", netloc="")
        )
    return page


@router.get(
    "/{search_id}/results/{bid_id:path}/explanation",
    summary="Por que uma licitação está, ou não está, nos resultados",
    responses=problems("search.not_found", "bid.not_found"),
)
async def explanation(search_id: InPath, bid_id: str, desk: AtDesk) -> Explanation:
    """The decision on one bid with its terms, evidence and every rule that fired; also for a bid that was left out."""
    await view_of(search_id, desk)
    standing = await desk.searches.standing(search_id, bid_id)
    if standing is None:
        raise Problem("bid.not_found")
    return Explanation(search_id=search_id, links={"search": links(search_id)["self"]}, **dict(standing))


async def _only_new(rows: Rows, search_id: SearchId, caller: Caller, desk: Desk) -> Rows:
    if desk.shelf is None:
        raise Problem("storage.away", headers={"Retry-After": "2"})
    seen = await desk.shelf.seen_before(caller.tenant, search_id, [row.id for row in rows.results])
    return rows.model_copy(update={"results": tuple(row for row in rows.results if row.id not in seen)})


async def _as_seen(
    shown: tuple[ShownResult, ...], search_id: SearchId, caller: Caller, desk: Desk
) -> tuple[ShownResult, ...]:
    """What the tenant knows of these rows; without its store the rows go out all the same."""
    if desk.shelf is None or not shown:
        return shown
    ids = [row.id for row in shown]
    try:
        seen = await desk.shelf.seen_before(caller.tenant, search_id, ids)
        marks = await desk.shelf.marks_of(caller.tenant, ids)
        await desk.shelf.show(caller.tenant, search_id, ids, at=desk.clock())
    except DependencyAway as exc:
        log.debug("shelf_away", why=exc.code)
        return shown
    return tuple(
        row.model_copy(
            update={"new_since_last": row.id not in seen, "triage": marks[row.id].mark if row.id in marks else None}
        )
        for row in shown
    )


async def view_of(search_id: InPath, desk: Desk) -> SearchView:
    """The state, or the problem that there is no such search."""
    view = await desk.searches.view(search_id)
    if view is None:
        raise Problem("search.not_found")
    return view


async def _asked_before(search_id: SearchId, caller: Caller, desk: Desk) -> SearchView | None:
    """The search that a request with the same `Idempotency-Key` began before it died."""
    if await desk.owners.owner(search_id) != caller.tenant:
        return None
    view = await desk.searches.view(search_id)
    return linked(view) if view else None


async def _answered(asked: Requested, hit: Hit, desk: Desk, memory: Memory) -> SearchView:
    """A stored answer goes out at once, whoever is busy or away; it is made anew only where that can be begun now."""
    now = desk.clock()
    wanted = hit.refresh or asked.query.force_refresh
    if wanted and desk.publisher.connected and not desk.traffic.backed_up(now=now):
        requested = hit.answers(asked, refresh=True, now=now)
        if desk.traffic.admit(asked.tenant, asked.search_id, now=now):
            try:
                return await _publish(requested, desk, now=now)
            except (Transient, TimeoutError) as exc:
                log.debug("refresh_not_begun", search_id=asked.search_id, why=type(exc).__name__)
    if hit.refresh:
        memory.run(memory.give_up(asked.query.key))
    requested = hit.answers(asked, refresh=False, now=now)
    desk.owners.own(requested.search_id, requested.tenant)
    view = memory.hold(requested, stored=False)
    memory.run(_told_later(requested, desk, memory))
    return view


async def _told_later(requested: Requested, desk: Desk, memory: Memory) -> None:
    """The log hears of it after the reply; while it cannot, this gateway alone knows the search."""
    try:
        await _store(REQUESTED.message(requested, search_id=requested.search_id), desk)
    except (Transient, TimeoutError) as exc:
        log.info("answered_unlogged", search_id=requested.search_id, reason=type(exc).__name__)
        return
    desk.searches.asked(requested.search_id)
    memory.hold(requested, stored=True)


async def _admit(requested: Requested, request: Request, desk: Desk) -> None:
    """A place among the tenant's running searches, unless requests already wait for someone to take them."""
    tenant, traffic = requested.tenant, desk.traffic
    if not desk.flag(Flag.NEW_SEARCHES):
        raise Problem("searches.closed", headers={"Retry-After": "60"})
    for _ in range(_LOOKS):
        if not traffic.backed_up(now=desk.clock()):
            break
        await asyncio.sleep(_BETWEEN_LOOKS)
    else:
        raise Problem("searches.backed_up", headers={"Retry-After": "3"})
    admitted = traffic.admit(tenant, requested.search_id, now=requested.created_at)
    request.state.searches = (traffic.most_running, traffic.left(tenant, now=requested.created_at))
    if not admitted:
        raise Problem("searches.too_many", headers={"Retry-After": "5"})


def _validated(body: SearchRequest, search_id: SearchId, *, now: datetime) -> SearchQuery:
    with span("validate", **of_search(search_id, body.sector, body.ufs), items_in=len(body.ufs)) as step:
        query = _query(body, now=now)
        about(step, items_out=len(query.ufs))
        return query


def _query(body: SearchRequest, *, now: datetime) -> SearchQuery:
    try:
        return body.normalised(today=day_of(now))
    except ValueError as exc:
        raise invalid((named(str(exc)),)) from exc
    except OverflowError as exc:
        raise invalid((FieldError(pointer="#/date_to", message="data fora do calendário"),)) from exc


async def _store(outgoing: Outgoing, desk: Desk) -> Ack:
    if not desk.publisher.connected:
        raise Unavailable("bus.away")
    async with asyncio.timeout(_STORED_WITHIN):
        return await desk.publisher.publish(outgoing)


async def _publish(requested: Requested, desk: Desk, *, now: datetime) -> SearchView:
    """Store the request; only a search that is surely in the log is answered with 202."""
    try:
        ack = await _store(REQUESTED.message(requested, search_id=requested.search_id), desk)
    except BaseException:
        desk.traffic.release(requested.search_id)
        raise
    desk.searches.asked(requested.search_id)
    desk.owners.own(requested.search_id, requested.tenant)
    query = requested.query
    log.info(
        "search_requested",
        search_id=requested.search_id,
        sector=query.sector,
        terms_count=len(query.terms),
        ufs_count=len(query.ufs),
        days=len(query.days),
    )
    state = SearchState(requested.search_id)
    state.apply(ack.sequence, requested)
    return state.view(now)
