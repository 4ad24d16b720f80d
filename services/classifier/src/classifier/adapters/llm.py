"""Any OpenAI-compatible endpoint. The client is imported when it is first built: that alone takes a second."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from opentelemetry.trace import SpanKind

from classifier.domain.arbitration import MAX_TOKENS, SCHEMA, LlmAway, Said
from servicekit.telemetry.tracing import about, span


class OpenAi:
    """Chat completions with a strict schema; retries are the caller's."""

    def __init__(self, *, api_key: str, base_url: str | None, model: str, timeout: timedelta) -> None:
        """No connection is opened before the first call."""
        import openai  # noqa: PLC0415 - see the module's docstring

        self._errors = openai
        # Any: its overloads want its own message types, which a plain mapping is at run time.
        self._client: Any = openai.AsyncOpenAI(
            api_key=api_key, base_url=base_url, timeout=timeout.total_seconds(), max_retries=0
        )
        self.model = model

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> Said:
        """One answer; raises LlmAway. The caller bounds the whole call."""
        with span("llm", kind=SpanKind.CLIENT, model=self.model) as step:
            said = await self._ask(messages)
            about(step, items_in=said.asked_tokens, items_out=said.answered_tokens)
            return said

    async def _ask(self, messages: Sequence[Mapping[str, str]]) -> Said:
        errors = self._errors
        try:
            completion = await self._client.chat.completions.create(
                model=self.model, messages=list(messages), temperature=0, max_tokens=MAX_TOKENS,
                response_format={"type": "json_schema", "json_schema": dict(SCHEMA)},
            )  # fmt: skip
        except errors.RateLimitError as exc:
            raise LlmAway("llm.rate_limited", retry_after=_retry_after(exc.response.headers)) from exc
        except errors.APIStatusError as exc:
            raise LlmAway(f"llm.status_{exc.status_code}") from exc
        except errors.APITimeoutError as exc:
            raise LlmAway("llm.timeout") from exc
        except (errors.APIError, ValueError) as exc:
            raise LlmAway("llm.unreachable") from exc
        usage = completion.usage
        choice = completion.choices[0] if completion.choices else None
        whole = choice is not None and choice.finish_reason == "stop" and choice.message.refusal is None
        return Said(
            content=choice.message.content if whole and choice is not None else None,
            asked_tokens=usage.prompt_tokens if usage else 0,
            answered_tokens=usage.completion_tokens if usage else 0,
        )

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.close()


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    value = headers.get("retry-after", "")
    return timedelta(seconds=min(int(value), 600)) if value.isdigit() else None
