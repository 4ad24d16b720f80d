"""`farol dlq`: the dead letters of a running Farol, through its API."""

from collections.abc import Callable
from typing import Any

import orjson

from farol.client import FarolClient

Say = Callable[[str], None]


async def show_all(client: FarolClient, say: Say, *, consumer: str | None, as_json: bool) -> None:
    """Every letter, the oldest first, without contents."""
    count = 0
    async for letter in client.dead_letters(consumer):
        count += 1
        say(orjson.dumps(letter).decode() if as_json else _row(letter))
    if not count and not as_json:
        say("Nenhuma mensagem abandonada.")


async def show(client: FarolClient, say: Say, sequence: int, *, as_json: bool) -> None:
    """One letter with its content."""
    letter = await client.dead_letter(sequence)
    if as_json:
        say(orjson.dumps(letter).decode())
        return
    for name, value in letter.items():
        if name != "content":
            say(f"{name:<15} {value}")
    say(orjson.dumps(letter["content"], option=orjson.OPT_INDENT_2).decode())


async def retry(client: FarolClient, say: Say, sequences: list[int]) -> None:
    """Each once more, in this order; the first that cannot be ends it."""
    for sequence in sequences:
        await client.retry_letter(sequence)
        say(f"{sequence}: de volta à fila")


async def discard(client: FarolClient, say: Say, sequences: list[int]) -> None:
    """Each thrown away for good."""
    for sequence in sequences:
        await client.discard_letter(sequence)
        say(f"{sequence}: descartada")


def _row(letter: dict[str, Any]) -> str:
    at = letter["at"][:19].replace("T", " ")
    return (
        f"{letter['sequence']:>8}  {at}  {letter['consumer']:<26}{letter['reason']:<18}"
        f"{letter['tries']:>2} tentativas  {letter['detail'][:80]}"
    )
