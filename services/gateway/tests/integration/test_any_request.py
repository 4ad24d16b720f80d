"""Whatever the OpenAPI document allows or forbids, a real gateway answers as the document says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from gateway.document import document

KEY = "farol_test_0123456789abcdef"
DOCUMENT = orjson.loads(document())
OF_OTHERS = r"/v1/(coverage|admin/backfill|admin/cache.*|bids/.*|feedback|admin/feedback/.*)$"
"""They ask the cache, the classifier or the fetcher, which do not run here: 503 is their right answer."""
OPERATIONS = sum(len(methods) for path, methods in DOCUMENT["paths"].items() if not re.search(OF_OTHERS, path))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT).exclude(path_regex=OF_OTHERS)
EXCLUDED: list[Any] = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]
"""Rules between fields cannot be told in a schema: a sector or terms and not both, a window that is not reversed."""
SOAK = 8_000
"""Asked for; addresses with nothing to vary take fewer."""
UNRESTRAINED = {
    "GATEWAY_RUNNING_SEARCHES": "1000000", "GATEWAY_LONGEST_WAIT": "PT1H", "GATEWAY_REQUESTS_PER_MINUTE": "1000000",
    "GATEWAY_PREFER_WAIT_MAX": "PT0S",
}  # fmt: skip
"""Limits have tests of their own; here they would hide what lies behind them."""


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=tuple(HealthCheck),
    )


@pytest.fixture(scope="module")
def address(nats, tmp_path_factory) -> Iterator[str]:
    subprocess.run(
        [sys.executable, "-m", "servicekit.provision"], env={**os.environ, "NATS_URL": nats.url}, check=True, timeout=60
    )
    directory: Path = tmp_path_factory.mktemp("gateway")
    environment = {
        **os.environ, **UNRESTRAINED, "NATS_URL": nats.url, "FAROL_API_KEY": KEY, "FAROL_HTTP_PORT": "0",
        "FAROL_DATA_DIR": str(directory),
    }  # fmt: skip
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "gateway"], env=environment, stdout=log)
    try:
        yield _url(directory / "log", process)
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert b"request_failed" not in (directory / "log").read_bytes()


def _url(log: Path, process: subprocess.Popen[bytes]) -> str:
    while process.poll() is None:
        for line in log.read_bytes().splitlines():
            if b"http_listening" in line:
                return str(orjson.loads(line)["url"])
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(log.read_text())


def _check(case: Any, address: str) -> None:
    case.call_and_validate(
        base_url=address, headers={"Authorization": f"Bearer {KEY}"}, timeout=20, excluded_checks=EXCLUDED
    )


class TestAnyRequest:
    @SCHEMA.parametrize()
    @bounded(5)
    def test_is_answered_as_the_document_says(self, case, address):
        _check(case, address)


@pytest.mark.soak
@pytest.mark.timeout(3600)
class TestThousandsOfRequests:
    @SCHEMA.parametrize()
    @bounded(-(-SOAK // OPERATIONS))
    def test_are_answered_as_the_document_says(self, case, address):
        _check(case, address)
