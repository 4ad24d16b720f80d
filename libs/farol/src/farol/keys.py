"""`farol keys`: the API keys of a running Farol, made, listed and ended through its API."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from farol.client import FarolClient

Say = Callable[[str], None]


async def create(
    client: FarolClient, say: Say, *, tenant: str, name: str, scopes: Sequence[str], as_json: bool
) -> None:
    """Make a key and show it, this once."""
    made = await client.create_key(tenant=tenant, name=name, scopes=scopes)
    if as_json:
        say(orjson.dumps(made).decode())
        return
    say(f"Chave {made['id']} de {made['tenant']} ({', '.join(made['scopes'])}). Guarde-a: não será mostrada de novo.")
    say(made["key"])


async def show(client: FarolClient, say: Say, *, as_json: bool) -> None:
    """List every key, without secrets."""
    for key in await client.keys():
        say(orjson.dumps(key).decode() if as_json else _row(key))


async def revoke(client: FarolClient, say: Say, key_id: str) -> None:
    """End a key at once."""
    await client.revoke_key(key_id)
    say(f"Chave {key_id} revogada.")


def _row(key: dict[str, Any]) -> str:
    ended = f"revogada em {key['revoked_at']}" if key["revoked_at"] else "ativa"
    scopes = ",".join(key["scopes"])
    return f"{key['id']:<10}{key['tenant']:<20}{scopes:<22}{key['created_at']:<34}{ended}  {key['name']}".rstrip()
