"""Dead letters: what the services gave up; whoever holds the scope `admin` reads, retries or discards it."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from contracts.ops import Retried, RetryLetter, RetryOutcome
from contracts.subjects import RETRY
from gateway.domain.problem import Problem
from gateway.routes.coverage import asker_of
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk, Letters, TheCaller
from servicekit.letters import Letter
from servicekit.logs import log

router = APIRouter(
    prefix="/v1/admin/dead-letters",
    tags=["administração"],
    responses=problems("key.missing", "key.wrong", "scope.missing", "requests.too_many", "bus.unavailable"),
)

ANSWERS_WITHIN: Final = timedelta(seconds=5)

AtPlace = Annotated[int, Path(ge=1, le=2**53, description="Onde a mensagem está na fila.", examples=[17])]


class LetterShown(BaseModel):
    """One message that was given up."""

    sequence: int = Field(examples=[17])
    stream: str = Field(examples=["WORK"])
    consumer: str = Field(examples=["cache-gather"])
    subject: str = Field(examples=["work.cache.gather.v1"])
    reason: str = Field(examples=["bug"])
    """A stable code."""
    detail: str = Field(examples=["KeyError: 'uf'"])
    tries: int = Field(examples=[5])
    at: datetime
    correlation_id: str | None
    traceparent: str | None
    bytes: int = Field(examples=[812])


class LetterOpened(LetterShown):
    """One message that was given up, with what it says."""

    content: Any
    """The message itself; its text where it is no JSON."""


class LetterPage(BaseModel):
    """The oldest first."""

    letters: tuple[LetterShown, ...]
    next_after: int | None = None
    """`after` of the next page; None on the last."""


@router.get("", summary="Listar as mensagens abandonadas", responses=problems("request.invalid"))
async def every(
    desk: AtDesk,
    after: Annotated[int, Query(ge=0, le=2**53, description="Só as que vêm depois desta.")] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    consumer: Annotated[str | None, Query(pattern=r"^[a-z_-]{1,60}$", description="Só as deste consumidor.")] = None,
) -> LetterPage:
    """Without their content, the oldest first."""
    found = await _letters(desk).page(after=after, limit=limit, consumer=consumer)
    # A page may be short because its bytes were many: the next one says whether that was all.
    return LetterPage(
        letters=tuple(LetterShown.model_validate(_shown(each)) for each in found),
        next_after=found[-1].sequence if found else None,
    )


@router.get("/{sequence}", summary="Ver uma mensagem abandonada", responses=problems("letter.not_found"))
async def one(desk: AtDesk, sequence: AtPlace) -> LetterOpened:
    """With its content."""
    letter = await _letter(desk, sequence)
    return LetterOpened.model_validate({**_shown(letter), "content": letter.content})


@router.post(
    "/{sequence}/retry",
    status_code=204,
    summary="Tentar de novo",
    responses=problems("letter.not_found", "letter.in_flight"),
)
async def retry(desk: AtDesk, caller: TheCaller, sequence: AtPlace) -> Response:
    """Give it to its consumer once more; it leaves the dead letters when it is there."""
    letter = await _letter(desk, sequence)
    query = RetryLetter(sequence=sequence, consumer=letter.consumer)
    told: Retried = await asker_of(desk).request(RETRY, query, timeout=ANSWERS_WITHIN)
    match told.outcome:
        case RetryOutcome.GONE:
            raise Problem("letter.not_found")
        case RetryOutcome.IN_FLIGHT:
            raise Problem("letter.in_flight")
    await _letters(desk).discard(sequence)
    log.info("dead_letter.retried", key_id=caller.key_id, letter=sequence, consumer=letter.consumer)
    return Response(status_code=204)


@router.delete(
    "/{sequence}", status_code=204, summary="Descartar uma mensagem abandonada", responses=problems("letter.not_found")
)
async def discard(desk: AtDesk, caller: TheCaller, sequence: AtPlace) -> Response:
    """Throw it away for good."""
    letter = await _letter(desk, sequence)
    if not await _letters(desk).discard(sequence):
        raise Problem("letter.not_found")
    log.info("dead_letter.discarded", key_id=caller.key_id, letter=sequence, consumer=letter.consumer)
    return Response(status_code=204)


def _letters(desk: Desk) -> Letters:
    if desk.letters is None:
        raise Problem("bus.unavailable", headers={"Retry-After": "2"})
    return desk.letters


async def _letter(desk: Desk, sequence: int) -> Letter:
    found = await _letters(desk).one(sequence)
    if found is None:
        raise Problem("letter.not_found")
    return found


def _shown(letter: Letter) -> dict[str, Any]:
    return {
        "sequence": letter.sequence, "stream": letter.stream, "consumer": letter.consumer, "subject": letter.subject,
        "reason": letter.reason, "detail": letter.detail, "tries": letter.tries, "at": letter.at,
        "correlation_id": letter.correlation_id, "traceparent": letter.traceparent, "bytes": len(letter.body),
    }  # fmt: skip
