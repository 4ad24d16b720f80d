"""Passwords nobody has to think of: `make_secrets.py compose minimal|full` or `make_secrets.py kubernetes`, to stdout.

Standard library only: it runs where nothing of Farol is installed. Run once per installation; another run makes others.
"""

import json
import secrets
import sys
from collections.abc import Callable
from urllib.parse import quote

SERVICES = ("cache", "classifier", "coordinator", "fetcher", "gateway", "reporter")
USERS = (*SERVICES, "provision", "operator")
NATS = "farol-nats:4222"
POSTGRES = "farol-postgres:5432"
REDIS = "farol-redis:6379"


def password() -> str:
    """192 bits. It begins with a letter: nats-server reads a variable that begins with a digit as a number."""
    return "p" + secrets.token_hex(24)


def api_key() -> str:
    """`farol_<id>_<secret>`."""
    return f"farol_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def variable(user: str) -> str:
    """Where nats-server finds a user's password."""
    return f"NATS_PASSWORD_{user.upper()}"


def compose(profile: str) -> str:
    """One env file: the profile, and what is secret in it."""
    lines = {
        "COMPOSE_PROFILES": profile,
        "FAROL_API_KEY": api_key(),
        "GATEWAY_KEYS_SECRET": password(),
        **{variable(user): password() for user in USERS},
    }
    if profile == "full":
        postgres, redis = password(), password()
        database = f"postgresql://farol:{postgres}@postgres:5432/farol"
        lines |= {
            variable("route"): password(),
            "NATS_REPLICAS": "3",
            "POSTGRES_PASSWORD": postgres,
            "CACHE_DATABASE_URL": database,
            "GATEWAY_DATABASE_URL": database,
            "REDIS_PASSWORD": redis,
            "REDIS_URL": f"redis://:{redis}@redis:6379/0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318",
            "GRAFANA_PASSWORD": password(),
        }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def kubernetes() -> str:
    """The Secrets that the manifests name, as a List for `kubectl apply -f -`."""
    passwords = {user: password() for user in USERS}
    postgres, redis = password(), password()
    database = f"postgresql://farol:{postgres}@{POSTGRES}/farol"
    shared = {"REDIS_URL": f"redis://:{quote(redis)}@{REDIS}/0"}
    own: dict[str, dict[str, str]] = {
        "cache": {"DATABASE_URL": database, **shared},
        "fetcher": shared,
        "gateway": {"DATABASE_URL": database, "FAROL_API_KEY": api_key(), "GATEWAY_KEYS_SECRET": password(), **shared},
    }
    secret_values = {
        "farol-nats-users": {variable(user): value for user, value in (*passwords.items(), ("route", password()))},
        "farol-postgres": {"POSTGRES_PASSWORD": postgres},
        "farol-redis": {"REDIS_PASSWORD": redis},
        "farol-provision": {"NATS_URL": f"nats://provision:{passwords['provision']}@{NATS}"},
        **{
            f"farol-{name}": {"NATS_URL": f"nats://{name}:{passwords[name]}@{NATS}", **own.get(name, {})}
            for name in SERVICES
        },
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
