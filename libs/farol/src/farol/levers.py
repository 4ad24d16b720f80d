"""`farol levers`: what is set at run time, shown and changed through the API of a running Farol."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson

from farol.client import FarolClient

Say = Callable[[str], None]


async def show(client: FarolClient, say: Say, *, as_json: bool) -> None:
    """Flags, sources, drained workers."""
    _tell(await client.admin("GET", "levers"), say, as_json=as_json)


async def change(client: FarolClient, say: Say, path: str, wish: dict[str, Any], *, reason: str, as_json: bool) -> None:
    """One change; what is set then."""
    _tell(await client.admin("PUT", path, {**wish, "reason": reason}), say, as_json=as_json)


async def cancel(client: FarolClient, say: Say, search_id: str, *, reason: str) -> None:
    """End a search of any tenant."""
    view = await client.admin("POST", f"searches/{quote(search_id, safe='')}/cancel", {"reason": reason})
    say(f"Busca {search_id}: estava {view['status']}; cancelamento pedido.")


async def audit(client: FarolClient, say: Say, *, limit: int, as_json: bool) -> None:
    """Who changed what, the newest first."""
    for each in (await client.admin("GET", f"audit?limit={limit}"))["records"]:
        words = f"{each['at'][:19]}  {each['actor']:<24}{each['action']:<8}{each['subject']:<34}"
        change_told = f"{each['before']} -> {each['after']}  ({each['reason']})"
        say(orjson.dumps(each).decode() if as_json else words + change_told)


async def usage(client: FarolClient, say: Say, *, days: int, as_json: bool) -> None:
    """What each tenant has used, by day."""
    for each in (await client.admin("GET", f"usage?days={days}"))["usage"]:
        words = (
            f"{each['day']}  {each['tenant']:<24}{each['searches']:>7} buscas{each['source_requests']:>9} pedidos"
            f"{each['llm_tokens']:>10} tokens  R$ {each['llm_brl']}"
        )
        say(orjson.dumps(each).decode() if as_json else words)


def _tell(now: dict[str, Any], say: Say, *, as_json: bool) -> None:
    if as_json:
        say(orjson.dumps(now).decode())
        return
    for flag in now["flags"]:
        say(f"{'ligado   ' if flag['on'] else 'DESLIGADO'}  {flag['name']:<18}{flag['about']}")
    for source in now["sources"]:
        rate = "padrão" if source["rate"] is None else f"{source['rate']:g}/s"
        state = "PAUSADA  " if source["paused"] else "ativa    "
        say(f"{state}  {source['source']:<18}ritmo {rate}, circuito {source['breaker']}")
    for worker in now["drained"]:
        say(f"ESVAZIADO  {worker}")
