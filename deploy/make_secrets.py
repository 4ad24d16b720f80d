"""Passwords and keys for nobody to think of: `make_secrets.py compose minimal|full` or `... kubernetes`, to stdout.

Standard library only: it runs where nothing of Farol is installed. Run once per installation; another run makes others.
"""

import base64
import binascii
import hashlib
import json
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

SERVICES = ("cache", "classifier", "coordinator", "fetcher", "gateway", "reporter")
USERS = (*SERVICES, "provision", "operator")
NATS = "farol-nats:4222"
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
"""The field, the curve and the base point of Ed25519 (RFC 8032, 5.1)."""
POSTGRES = "farol-postgres:5432"
REDIS = "farol-redis:6379"


def password() -> str:
    """192 bits. It begins with a letter: nats-server reads a variable that begins with a digit as a number."""
    return "p" + secrets.token_hex(24)


def api_key() -> str:
    """`farol_<id>_<secret>`."""
    return f"farol_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


@dataclass(frozen=True)
class Nkey:
    """Who one user of the bus is: the server is given the public key, the user alone has the seed."""

    public: str
    seed: str


def nkey() -> Nkey:
    """A new Ed25519 pair in the spelling of NATS: `U...` and `SU...`."""
    raw = secrets.token_bytes(32)
    user = 20 << 3
    seed_of_user = bytes([18 << 3 | user >> 5, (user & 31) << 3])
    return Nkey(public=_spelled(bytes([user]) + public_key(raw)), seed=_spelled(seed_of_user + raw))


def public_key(seed: bytes) -> bytes:
    """RFC 8032, 5.1.5. Slow and not hardened against timing, which once per installation does not matter."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    y = 4 * pow(5, -1, P) % P
    point, result = (X, y), (0, 1)
    while scalar:
        if scalar & 1:
            result = _added(result, point)
        point, scalar = _added(point, point), scalar >> 1
    return (result[1] | (result[0] & 1) << 255).to_bytes(32, "little")


def _added(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def _spelled(raw: bytes) -> str:
    """Base 32 over the bytes and their CRC-16 (XMODEM), the low byte first."""
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def key_variable(user: str) -> str:
    """Where nats-server finds a user's public key."""
    return f"NATS_NKEY_{user.upper()}"


def compose(profile: str) -> str:
    """One env file: the profile, and what is secret in it."""
    keys = {user: nkey() for user in USERS}
    lines = {
        "COMPOSE_PROFILES": profile,
        "FAROL_API_KEY": api_key(),
        "GATEWAY_KEYS_SECRET": password(),
        **{key_variable(user): key.public for user, key in keys.items()},
        **{f"NATS_SEED_{user.upper()}": key.seed for user, key in keys.items()},
    }
    if profile == "full":
        postgres, redis = password(), password()
        database = f"postgresql://farol:{postgres}@postgres:5432/farol"
        lines |= {
            "NATS_PASSWORD_ROUTE": password(),
            "NATS_REPLICAS": "3",
            "POSTGRES_PASSWORD": postgres,
            "CACHE_DATABASE_URL": database,
            "CLASSIFIER_DATABASE_URL": database,
            "GATEWAY_DATABASE_URL": database,
            "REDIS_PASSWORD": redis,
            "REDIS_URL": f"redis://:{redis}@redis:6379/0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318",
            "GRAFANA_PASSWORD": password(),
        }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def kubernetes() -> str:
    """The Secrets that the manifests name, as a List for `kubectl apply -f -`."""
    keys = {user: nkey() for user in USERS}
    postgres, redis = password(), password()
    database = f"postgresql://farol:{postgres}@{POSTGRES}/farol"
    shared = {"REDIS_URL": f"redis://:{quote(redis)}@{REDIS}/0"}
    own: dict[str, dict[str, str]] = {
        "cache": {"DATABASE_URL": database, **shared},
        "classifier": {"DATABASE_URL": database},
        "fetcher": shared,
        "gateway": {"DATABASE_URL": database, "FAROL_API_KEY": api_key(), "GATEWAY_KEYS_SECRET": password(), **shared},
    }
    secret_values = {
        "farol-nats-users": {
            **{key_variable(user): key.public for user, key in keys.items()},
            "NATS_PASSWORD_ROUTE": password(),
        },
        "farol-operator": {"NATS_URL": f"nats://{keys['operator'].seed}@{NATS}"},
        "farol-postgres": {"POSTGRES_PASSWORD": postgres},
        "farol-redis": {"REDIS_PASSWORD": redis},
        "farol-provision": {"NATS_URL": f"nats://{keys['provision'].seed}@{NATS}"},
        **{f"farol-{name}": {"NATS_URL": f"nats://{keys[name].seed}@{NATS}", **own.get(name, {})} for name in SERVICES},
    }
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "farol"}},
            "stringData": values,
        }
        for name, values in secret_values.items()
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n"


CHOICES: dict[tuple[str, ...], Callable[[], str]] = {
    ("compose", "minimal"): lambda: compose("minimal"),
    ("compose", "full"): lambda: compose("full"),
    ("kubernetes",): kubernetes,
}


def main() -> int:
    """Print what was asked for."""
    choice = CHOICES.get(tuple(sys.argv[1:]))
    if choice is None:
        sys.stderr.write(f"{(__doc__ or '').splitlines()[0]}\n")
        return 2
    sys.stdout.write(choice())
    return 0


if __name__ == "__main__":
    sys.exit(main())
