from typing import Any

from farol import levers

NOW = {
    "flags": [{"name": "viability", "on": False, "about": "Accepted bids are judged for viability."}],
    "sources": [
        {"source": "pncp", "paused": True, "rate": None, "breaker": "auto"},
        {"source": "pcp", "paused": False, "rate": 2.5, "breaker": "open"},
    ],
    "drained": ["fetcher-3f2a9c1e"],
}


class Client:
    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.asked: list[tuple[str, str, Any]] = []

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, body))
        return self.reply


class TestLevers:
    async def test_are_shown_with_what_departs_from_the_default_in_capitals(self) -> None:
        told: list[str] = []
        await levers.show(Client(NOW), told.append, as_json=False)  # type: ignore[arg-type]  # fits what is used
        assert [line.split()[0] for line in told] == ["DESLIGADO", "PAUSADA", "ativa", "ESVAZIADO"]
        assert "ritmo padrão, circuito auto" in told[1]
        assert "ritmo 2.5/s, circuito open" in told[2]

    async def test_are_changed_with_the_reason(self) -> None:
        client = Client(NOW)
        await levers.change(client, lambda _: None, "sources/pncp", {"paused": True}, reason="manutenção", as_json=True)  # type: ignore[arg-type]  # as above
        assert client.asked == [("PUT", "sources/pncp", {"paused": True, "reason": "manutenção"})]

    async def test_cancel_a_search_and_say_how_it_stood(self) -> None:
        client, told = Client({"status": "running"}), list[str]()
        await levers.cancel(client, told.append, "ab" * 16, reason="a pedido")  # type: ignore[arg-type]  # as above
        assert client.asked == [("POST", f"searches/{'ab' * 16}/cancel", {"reason": "a pedido"})]
        assert "running" in told[0]
