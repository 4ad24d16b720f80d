"""Keys open what they are for, no longer than they may, also while the store is away."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.access import KeyRevoked
from contracts.subjects import Outgoing
from gateway.adapters import keyring
from gateway.adapters.keyring import Keyring, secret_in
from gateway.domain.keys import KeyRecord, LocalKey, Scope, id_of
from servicekit.errors import DependencyAway, Unavailable

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
LOCAL = "farol_test_0123456789abcdef"
SEARCH = frozenset({Scope.SEARCH})


@dataclass
class Store:
    kept: dict[str, KeyRecord] = field(default_factory=dict)
    away: bool = False
    finds: int = 0

    async def find(self, key_id: str) -> KeyRecord | None:
        self.finds += 1
        if self.away:
            raise DependencyAway("sql")
        return self.kept.get(key_id)

    async def add(self, record: KeyRecord) -> None:
        self.kept[record.id] = record

    async def revoke(self, key_id: str, *, at: datetime) -> bool:
        if key_id not in self.kept:
            return False
        self.kept[key_id] = replace(self.kept[key_id], revoked_at=at)
        return True

    async def all(self) -> list[KeyRecord]:
        return list(self.kept.values())


@dataclass
class Herald:
    fails: Exception | None = None
    told: list[Outgoing] = field(default_factory=list)

    async def publish(self, outgoing: Outgoing) -> None:
        if self.fails:
            raise self.fails
        self.told.append(outgoing)


def _ring(store: Store, herald: Herald | None = None, secret: bytes = b"s" * 32) -> Keyring:
    return Keyring(local=LocalKey(LOCAL), store=store, secret=secret, herald=herald or Herald(), clock=lambda: NOW)


class TestKeyring:
    async def test_opens_with_the_local_key_for_everything_and_asks_no_store(self) -> None:
        ring = _ring(store := Store(away=True))
        caller = await ring.caller(LOCAL)
        assert caller is not None
        assert (caller.tenant, caller.scopes, store.finds) == ("local", frozenset(Scope), 0)

    async def test_opens_with_a_key_it_made_and_with_no_other(self) -> None:
        ring = _ring(store := Store())
        key, record = await ring.create(tenant="acme", name="erp", scopes=SEARCH)
        assert await ring.caller(key) == record.caller
        assert record.digest not in key
        assert key.rsplit("_", 1)[1] not in record.digest
        for wrong in (key[:-1] + ("A" if key[-1] != "A" else "B"), f"farol_00000000_{'x' * 43}", "", "farol_"):
            assert await ring.caller(wrong) is None
        assert await _ring(store, secret=b"another" * 5).caller(key) is None

    async def test_admits_the_cookie_of_a_key_until_the_key_ends(self) -> None:
        ring = _ring(Store())
        key, record = await ring.create(tenant="acme", name="", scopes=SEARCH)
        session = await ring.session(key)
        assert session is not None
        assert key.rsplit("_", 1)[1] not in session
        assert await ring.caller_of_session(session) == record.caller
        assert await ring.caller_of_session(session[:-1] + "g") is None
        assert await ring.revoke(record.id)
        assert await ring.caller_of_session(session) is None

    async def test_tells_the_others_of_a_revocation_and_hears_them(self) -> None:
        store, herald = Store(), Herald()
        ring, other = _ring(store, herald), _ring(store)
        key, record = await ring.create(tenant="acme", name="", scopes=SEARCH)
        assert await other.caller(key)
        assert await ring.revoke(record.id)
        (told,) = herald.told
        assert await other.caller(key), "it trusts what it holds until it hears"
        await other.heard(told.value)
        assert await other.caller(key) is None
        assert not await ring.revoke("nobody")

    async def test_ends_a_key_though_the_bus_is_away(self) -> None:
        ring = _ring(Store(), Herald(fails=Unavailable("bus.away")))
        key, record = await ring.create(tenant="acme", name="", scopes=SEARCH)
        assert await ring.revoke(record.id)
        assert await ring.caller(key) is None

    async def test_asks_the_store_again_after_its_time_and_trusts_itself_while_it_is_away(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ring = _ring(store := Store())
        key, record = await ring.create(tenant="acme", name="", scopes=SEARCH)
        assert await ring.caller(key)
        assert await ring.caller(key)
        assert store.finds == 1
        monkeypatch.setattr(keyring, "TRUSTED_FOR", 0.0)
        store.away = True
        assert await ring.caller(key) == record.caller
        with pytest.raises(DependencyAway):
            await ring.caller(f"farol_00000000_{'x' * 43}")
        store.away = False
        await store.revoke(record.id, at=NOW)
        assert await ring.caller(key) is None

    async def test_does_not_hold_a_key_whose_end_came_while_it_was_read(self) -> None:
        ring = _ring(store := Store())
        key, record = await ring.create(tenant="acme", name="", scopes=SEARCH)
        find = store.find

        async def slow_find(key_id: str) -> KeyRecord | None:
            found = await find(key_id)
            await ring.heard(KeyRevoked(key_id=record.id, at=NOW))
            return found

        store.find = slow_find  # type: ignore[method-assign]
        assert await ring.caller(key) is None


class TestSecret:
    def test_is_made_once_and_read_by_its_owner_only(self, tmp_path: Path) -> None:
        made = secret_in(tmp_path / "new")
        assert (secret_in(tmp_path / "new"), len(made) >= 32) == (made, True)
        assert (tmp_path / "new" / "gateway.secret").stat().st_mode & 0o777 == 0o600


class TestIdOf:
    def test_shows_the_public_part_of_a_key_and_nothing_of_what_is_none(self) -> None:
        assert id_of(f"farol_4f2a9c1e_{'x' * 43}") == "4f2a9c1e"
        assert [id_of(bad) for bad in ("", "farol_4f2a9c1e", "farol_4f2a9c1e_short", "x" * 300)] == [None] * 4
