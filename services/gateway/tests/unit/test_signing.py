"""Links that open one file for a while."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.domain.signing import Signer

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
ID = "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"
SIGNER = Signer(b"k" * 32, life=timedelta(hours=1))


def told(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


class TestSigner:
    def test_opens_what_it_signed_until_it_expires(self):
        link = told(SIGNER.link(ID, 2, now=NOW))
        expires, signature = int(link["expires"]), link["signature"]

        assert SIGNER.opens(ID, 2, expires=expires, signature=signature, now=NOW + timedelta(minutes=59))
        assert not SIGNER.opens(ID, 2, expires=expires, signature=signature, now=NOW + timedelta(hours=1))
        assert SIGNER.expires_at(now=NOW) == NOW + timedelta(hours=1)

    @pytest.mark.parametrize(
        "change",
        [
            {"search_id": "0" * 32},
            {"revision": 3},
            {"expires": 2_000_000_000},
            {"signature": "0" * 64},
            {"signature": "ã"},
        ],
    )
    def test_opens_nothing_else(self, change):
        link = told(SIGNER.link(ID, 2, now=NOW))
        asked = {
            "search_id": ID, "revision": 2, "expires": int(link["expires"]), "signature": link["signature"], **change
        }  # fmt: skip

        assert not SIGNER.opens(asked.pop("search_id"), asked.pop("revision"), now=NOW, **asked)

    def test_of_another_secret_opens_nothing(self):
        link = told(SIGNER.link(ID, 2, now=NOW))
        other = Signer(b"x" * 32, life=timedelta(hours=1))

        assert not other.opens(ID, 2, expires=int(link["expires"]), signature=link["signature"], now=NOW)
