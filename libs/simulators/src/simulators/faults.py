"""The fault menu: what a source was seen to do wrong, where, how often; chance is seeded, so a run can be repeated."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from simulators.recordings import draw


class Source(StrEnum):
    """The source that a fault or limit belongs to."""

    PNCP = "pncp"
    PCP = "pcp"


class Endpoint(StrEnum):
    """What was asked, whatever the source."""

    PUBLICACAO = "publicacao"
    PROPOSTA = "proposta"
    ATUALIZACAO = "atualizacao"
    COMPRA = "compra"
    ITENS = "itens"
    QUANTIDADE = "quantidade"
    ARQUIVOS = "arquivos"
    ARQUIVO = "arquivo"
    PROCESSOS = "processos"
    DOCUMENTOS = "documentos"
    EDITAL = "edital"
    OTHER = "other"


class Kind(StrEnum):
    """One fault of the menu, each seen in the wild but `truncated` and `cut_off`, which are assumed."""

    LATENCY = "latency"  # waits `seconds`, plus up to `spread` more, then answers as usual
    HANG = "hang"  # says nothing for `seconds` (45), then closes
    RATE_LIMITED = "rate_limited"  # 429 HTML, with Retry-After when `retry_after` is set
    HTML_200 = "html_200"  # the firewall's page, status 200
    NO_CONTENT = "no_content"  # 204
    EMPTY_200 = "empty_200"  # 200 with zero bytes
    SPURIOUS_422 = "spurious_422"  # a period message for a valid window: `count` 1 too long, 2 reversed
    JSON_500 = "json_500"  # the JDBC error
    TEXT_500 = "text_500"  # labelled JSON, not JSON
    HTML_503 = "html_503"
    HTML_504 = "html_504"
    BAD_REQUEST = "bad_request"  # 400 for a valid request
    RESET = "reset"  # TCP RST before any byte
    REFUSED = "refused"  # the source's port takes no connection; needs `source`, ignores the other filters
    DRIP = "drip"  # the right answer, spread over `seconds` (20)
    TRUNCATED = "truncated"  # a body cut in half, its length cut with it
    CUT_OFF = "cut_off"  # half of the promised body, then the connection closes
    REPEATED = "repeated"  # the last `count` records of the page before come again
    SHIFTED = "shifted"  # `count` new records came before this page was read: it starts that much earlier, total grows
    TOTALS = "totals"  # the total moves by `count` from page to page
    SITUACAO_TEXT = "situacao_text"  # situacaoCompraId as a string
    BAD_LINKS = "bad_links"  # null, "", "string", " ", "0", without scheme, an e-mail
    VALOR_ZERO = "valor_zero"  # valorTotalEstimado 0.0


class Fault(BaseModel):
    """One fault and where it strikes: a filter left None matches everything; a `page` strikes that page only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    source: Source | None = None
    endpoint: Endpoint | None = None
    uf: str | None = None
    modalidade: int | None = None
    page: int | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    times: Annotated[int, Field(ge=1)] | None = None  # strikes that often in all, then is over
    times_each: Annotated[int, Field(ge=1)] | None = None  # strikes that often per URL: the retry succeeds
    seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    spread: Annotated[float, Field(ge=0, le=600)] = 0.0
    count: Annotated[int, Field(ge=1)] = 1
    retry_after: int | None = None

    def matches(self, request: Asked) -> bool:
        """Whether the filters let this request through to the fault."""
        wanted = (self.source, self.endpoint, self.uf, self.modalidade, self.page)
        actual = (request.source, request.endpoint, request.uf, request.modalidade, request.page)
        return all(want is None or want == got for want, got in zip(wanted, actual, strict=True))


class Asked(BaseModel):
    """What a request asks for, as the faults and the hit log see it."""

    model_config = ConfigDict(frozen=True)

    source: Source
    endpoint: Endpoint
    uf: str | None = None
    modalidade: int | None = None
    page: int | None = None
    url: str = ""


class RateLimit(BaseModel):
    """At most `requests` in any `window_s` seconds; above it 429, and with `block_s` nothing but 429 for that long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source
    requests: Annotated[int, Field(ge=1)]
    window_s: Annotated[float, Field(gt=0)] = 1.0
    block_s: Annotated[float, Field(ge=0)] = 0.0
    retry_after: int | None = None


class Scenario(BaseModel):
    """Everything that can be switched on a running simulator; what a `--faults` file and `PUT /_sim/faults` hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faults: tuple[Fault, ...] = ()
    rates: tuple[RateLimit, ...] = ()
    proposta_needs_modalidade: bool = True


class Strikes:
    """Decides which faults strike a request; the nth asking of a URL draws the same lot in every run."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = tuple(faults)
        self._seed = seed
        self._asked: Counter[str] = Counter()
        self._struck: Counter[int] = Counter()
        self._struck_each: Counter[tuple[int, str]] = Counter()

    def on(self, request: Asked) -> tuple[Fault, ...]:
        """The faults that strike now, in the order in which they were given."""
        self._asked[request.url] += 1
        return tuple(fault for index, fault in enumerate(self._faults) if self._strikes(index, fault, request))

    def _strikes(self, index: int, fault: Fault, request: Asked) -> bool:
        if fault.kind is Kind.REFUSED or not fault.matches(request):
            return False
        if fault.times is not None and self._struck[index] >= fault.times:
            return False
        if fault.times_each is not None and self._struck_each[index, request.url] >= fault.times_each:
            return False
        if draw(self._seed, "fault", index, request.url, self._asked[request.url]) >= fault.probability:
            return False
        self._struck[index] += 1
        self._struck_each[index, request.url] += 1
        return True


class Gate:
    """One rate limit at work; refused requests do not count, a block runs from the request that broke the limit."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._admitted: deque[float] = deque(maxlen=limit.requests)
        self._blocked_until = float("-inf")

    def admits(self, now: float) -> bool:
        """Whether a request arriving at `now` (monotonic seconds) is within the limit."""
        if now < self._blocked_until:
            return False
        if len(self._admitted) == self.limit.requests and now - self._admitted[0] < self.limit.window_s:
            self._blocked_until = now + self.limit.block_s
            return False
        self._admitted.append(now)
        return True
