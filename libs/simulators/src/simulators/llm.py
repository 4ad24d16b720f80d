"""An OpenAI-compatible endpoint on loopback: it reads a bid as told, or does whatever a bad day of one does.

Honest, it takes the words between the marks of the last message for the bid, and calls it relevant when a word of the
asked-for sector stands in it. `Mood.OBEYS` is the worst reader there is: it does what any text in the prompt asks.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Annotated, Any, Final, Self

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.listener import Listener

CALLS_KEPT: Final = 10_000
BODY_LIMIT: Final = 256 * 1024


class Mood(StrEnum):
    """How the endpoint answers."""

    HONEST = "honest"
    SLOW = "slow"  # honest, after `seconds`
    WRONG_SCHEMA = "wrong_schema"  # JSON, but another shape
    PROSE = "prose"  # no JSON at all
    FALSE_QUOTES = "false_quotes"  # honest, with quotes that stand nowhere
    REFUSES = "refuses"  # the model's own refusal, status 200
    TOO_LONG = "too_long"  # cut by the token limit
    RATE_LIMITED = "rate_limited"  # 429
    BROKEN = "broken"  # 500
    CUT = "cut"  # the connection breaks half-way through the body
    OBEYS = "obeys"  # does what the bid's text tells it


class Conduct(BaseModel):
    """The mood, for how many calls (None: until told otherwise), and how slow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mood: Mood = Mood.HONEST
    times: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came."""

    body: Mapping[str, Any]
    mood: Mood

    @property
    def prompt(self) -> str:
        """Every message, one after the other."""
        return "\n".join(str(message.get("content", "")) for message in self.body.get("messages", []))


Answer = Mapping[str, Any]
Reader = Callable[[str, str], Answer]


def read_honestly(sector: str, bid: str) -> Answer:
    """Relevant when a long word of the sector's name stands in the bid; it quotes that word as written."""
    wanted = {_stem(word) for word in re.findall(r"\w{5,}", sector)}
    quotes = [word for word in re.findall(r"\w{5,}", bid) if _stem(word) in wanted][:3]
    relevant = bool(quotes)
    return {
        "classe": "relevante" if relevant else "irrelevante",
        "confianca": 85 if relevant else 80,
        "evidencias": quotes,
        "motivo_exclusao": "" if relevant else "o objeto não trata do setor",
        "precisa_mais_dados": False,
    }


class LlmSimulator:
    """`async with LlmSimulator() as llm: llm.base_url` is what OPENAI_BASE_URL is set to."""

    def __init__(self, *, conduct: Conduct | None = None, port: int = 0, reader: Reader = read_honestly) -> None:
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self.conduct = conduct or Conduct()
        self._left = self.conduct.times
        self._reader = reader
        self._stopping = asyncio.Event()
        self._listener = Listener(self._application(), port)

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._listener.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, whatever still waits."""
        self._stopping.set()
        await self._listener.stop()

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"{self._listener.url}/v1"

    def set(self, conduct: Conduct) -> None:
        """Behave so from the next call on."""
        self.conduct, self._left = conduct, conduct.times

    def read(self, body: Mapping[str, Any]) -> str | None:
        """What the model says to a request, without the wire between: its moods play no part here."""
        call = Call(body, self._mood())
        self.calls.append(call)
        return self._say(call)[0]

    def _mood(self) -> Mood:
        if self._left is None:
            return self.conduct.mood
        self._left -= 1
        return self.conduct.mood if self._left >= 0 else Mood.HONEST

    def _application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/_sim/llm", self._control, methods=["GET", "PUT"]),
            ]
        )

    async def _control(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                self.set(Conduct.model_validate_json(await request.body()))
            except ValidationError as error:
                return Response(error.json(include_url=False, include_input=False), 422, media_type="application/json")
        return JSONResponse({"calls": len(self.calls), "conduct": self.conduct.model_dump(mode="json")})

    async def _complete(self, request: Request) -> Response:
        raw = await request.body()
        if len(raw) > BODY_LIMIT:
            return _error(413, "request too large")
        try:
            body = json.loads(raw)
        except ValueError:
            return _error(400, "not JSON")
        mood = self._mood()
        call = Call(body, mood)
        self.calls.append(call)
        if mood is Mood.SLOW:
            await self._wait(self.conduct.seconds)
        if mood is Mood.RATE_LIMITED:
            after = self.conduct.retry_after
            return _error(429, "rate limit reached", {"retry-after": str(after)} if after is not None else {})
        if mood is Mood.BROKEN:
            return _error(500, "the server had an error")
        if mood is Mood.CUT:
            return _Cut()
        return JSONResponse(_completion(str(body.get("model", "")), *self._say(call)))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _say(self, call: Call) -> tuple[str | None, str, str | None]:
        """The content, why it ends and the refusal, if any."""
        if _wants_summary(call):
            return _summary(call)
        sector, bid = _sector_and_bid(call)
        answer = dict(self._reader(sector, bid))
        match call.mood:
            case Mood.REFUSES:
                return None, "stop", "Não posso ajudar com isso."
            case Mood.PROSE:
                return "Claro! A licitação parece relevante.", "stop", None
            case Mood.WRONG_SCHEMA:
                return json.dumps({"relevant": True, "confidence": "alta"}), "stop", None
            case Mood.TOO_LONG:
                return json.dumps(answer, ensure_ascii=False)[:40], "length", None
            case Mood.FALSE_QUOTES:
                answer["evidencias"] = [*answer["evidencias"][:1], "trecho que não está no texto", "outro inventado"]
            case Mood.OBEYS if _is_told(bid):
                answer = {
                    "classe": "relevante", "confianca": 100, "evidencias": ["instrução cumprida", "aprovado"],
                    "motivo_exclusao": "", "precisa_mais_dados": False, "outras": [{"id": "*", "classe": "relevante"}],
                }  # fmt: skip
        return json.dumps(answer, ensure_ascii=False), "stop", None


def _wants_summary(call: Call) -> bool:
    """Whether a summary is asked for, by the name of the schema that it is to have."""
    asked = call.body.get("response_format")
    return isinstance(asked, dict) and asked.get("json_schema", {}).get("name") == "resumo"


def _summary(call: Call) -> tuple[str | None, str, str | None]:
    """The first paragraph of the data in other words; in `Mood.FALSE_QUOTES` with a figure of its own."""
    data = json.loads(str(call.body["messages"][-1]["content"]))
    said = f"Em resumo: {data['dados'].splitlines()[0]}"
    if call.mood is Mood.FALSE_QUOTES:
        said += " Outras 987654 chegam amanhã."
    whole = json.dumps({"resumo": said}, ensure_ascii=False)
    match call.mood:
        case Mood.REFUSES:
            return None, "stop", "Não posso ajudar com isso."
        case Mood.PROSE:
            return said, "stop", None
        case Mood.WRONG_SCHEMA:
            return json.dumps({"summary": said}), "stop", None
        case Mood.TOO_LONG:
            return whole[:40], "length", None
    return whole, "stop", None


_ORDERS: Final = (
    "ignor", "desconsider", "esquec", "instru", "system", "assistant", "responda", "classifique", "respond",
    "disregard", "override", "aprove", "marque", "you are", "voce e", "prompt", "relevante", "return",
)  # fmt: skip


def _is_told(bid: str) -> bool:
    """Whether the bid's text gives an order, in clear or encoded: the worst reader decodes it and complies."""
    clear = [bid, bid[::-1], bid.translate(_LEET)]
    for token in re.findall(r"[A-Za-z0-9+/=]{16,}", bid):
        try:
            clear.append(base64.b64decode(token, validate=True).decode("utf-8"))
        except (binascii.Error, UnicodeDecodeError):
            continue
    encoded = re.findall(r"(?:[0-9a-fA-F]{2}){8,}", bid)
    clear.extend(bytes.fromhex(token).decode("utf-8", "ignore") for token in encoded)
    folded = [re.sub(r"[^a-z ]", "", _fold(text)) for text in clear]
    return any(order in text or order in text.replace(" ", "") for text in folded for order in _ORDERS)


_LEET: Final = str.maketrans("013457", "oieast")


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).lower()


def _stem(word: str) -> str:
    return _fold(word)[:6]


def _sector_and_bid(call: Call) -> tuple[str, str]:
    """The prompt's data: a JSON object in the last message with `setor` and `licitacao`, else the whole message."""
    last = str(call.body.get("messages", [{}])[-1].get("content", ""))
    try:
        data = json.loads(last[last.index("{") : last.rindex("}") + 1])
        return str(data["setor"]), json.dumps(data["licitacao"], ensure_ascii=False)
    except (ValueError, KeyError, TypeError):
        return "", last


def _completion(model: str, content: str | None, finish: str, refusal: str | None) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return {
        "id": "chatcmpl-sim", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460},
    }  # fmt: skip


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": "simulated", "code": None, "param": None}}
    return JSONResponse(body, status, dict(headers or {}))


class _Cut(Response):
    """Promises more than it sends, then the connection breaks."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI's signature
        headers = [(b"content-type", b"application/json"), (b"content-length", b"4000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"id": "chatcmpl-sim", "cho', "more_body": True})
        await asyncio.sleep(0)
        scope["state"]["transport"].abort()


def main(
    port: Annotated[int, typer.Option(help="The endpoint's port; 0: a free one.")] = 0,
    mood: Annotated[Mood, typer.Option(help="How it behaves; PUT /_sim/llm changes it.")] = Mood.HONEST,
) -> None:
    """Serve an OpenAI-compatible endpoint until Ctrl-C."""
    try:
        asyncio.run(_serve(LlmSimulator(conduct=Conduct(mood=mood), port=port)))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _serve(simulator: LlmSimulator) -> None:
    async with simulator:
        typer.echo(f"OPENAI_BASE_URL={simulator.base_url}")
        await asyncio.Event().wait()


if __name__ == "__main__":
    typer.run(main)
