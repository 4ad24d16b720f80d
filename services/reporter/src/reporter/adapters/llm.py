"""Any OpenAI-compatible endpoint as the writer of summaries. The client is imported when it is first built."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from opentelemetry.trace import SpanKind

from reporter.domain.narrative import MAX_TOKENS, SCHEMA, TEMPERATURE
from servicekit.errors import Rejected, Transient
from servicekit.telemetry.measures import LLM_CALLS
from servicekit.telemetry.tracing import about, span


class WriterAway(Transient):
    """The model did not answer, or not now; the next try may fare better."""


class WriterRefuses(Rejected):
    """The endpoint does not take such a request from us: no try will help."""


class OpenAiWriter:
    """One completion a call; retries are the bus's."""

    def __init__(
        self, *, api_key: str, base_url: str | None, model: str, timeout: timedelta, retry_after: timedelta
    ) -> None:
        """No connection is opened before the first call."""
        import openai  # noqa: PLC0415 - that alone takes a second, and most machines have no key

        self._errors = openai
        self._timeout = timeout.total_seconds()
        self._retry_after = retry_after
        self._model = model
        # Any: its overloads want its own message types, which a plain mapping is at run time.
        self._client: Any = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0)

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the connections go."""
        await self._client.close()

    async def write(self, messages: Sequence[Mapping[str, str]]) -> str | None:
        """What the model says, whole; None when it declines or is cut. Raises WriterAway or WriterRefuses."""
        errors = self._errors
        try:
            async with asyncio.timeout(self._timeout):
                with span("llm", kind=SpanKind.CLIENT, model=self._model) as step:
                    completion = await self._client.chat.completions.create(
                        model=self._model, messages=list(messages), temperature=TEMPERATURE, max_tokens=MAX_TOKENS,
                        response_format={"type": "json_schema", "json_schema": dict(SCHEMA)},
                    )  # fmt: skip
                    usage = completion.usage
                    about(
                        step,
                        items_in=usage.prompt_tokens if usage else 0,
                        items_out=usage.completion_tokens if usage else 0,
                    )
            LLM_CALLS.add(outcome="ok")
        except (errors.AuthenticationError, errors.BadRequestError, errors.PermissionDeniedError) as exc:
            LLM_CALLS.add(outcome="away")
            raise WriterRefuses(f"llm.status_{exc.status_code}") from exc
        except (errors.APIError, TimeoutError, ValueError) as exc:
            LLM_CALLS.add(outcome="timeout" if isinstance(exc, TimeoutError) else "away")
            raise WriterAway("llm.away", delay=self._retry_after) from exc
        choice = completion.choices[0] if completion.choices else None
        whole = choice is not None and choice.finish_reason == "stop" and choice.message.refusal is None
        return str(choice.message.content) if whole and choice is not None else None
