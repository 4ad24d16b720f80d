"""The OpenAPI document is complete, and the kept copy is the present one."""

from pathlib import Path
from typing import Any

import orjson

from gateway.document import document
from gateway.domain.problem import KINDS

KEPT = Path(__file__).parents[2] / "openapi.json"


def _operations(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
    }


class TestDocument:
    def test_is_the_one_that_is_kept(self) -> None:
        assert KEPT.read_bytes() == document(), "run: python -m gateway.document > services/gateway/openapi.json"

    def test_names_every_route_and_how_to_sign_in(self) -> None:
        operations = _operations(orjson.loads(document()))
        assert set(operations) == {
            "POST /v1/searches",
            "GET /v1/searches/{search_id}",
            "DELETE /v1/searches/{search_id}",
            "GET /v1/bids/{bid_id}",
            "GET /v1/bids/{bid_id}/calendar.ics",
            "GET /v1/coverage",
            "GET /v1/admin/cache",
            "GET /v1/admin/cache/metrics",
            "GET /v1/admin/cache/{key}",
            "DELETE /v1/admin/cache",
            "DELETE /v1/admin/cache/{key}",
            "GET /v1/health/cache",
            "GET /v1/admin/dead-letters",
            "GET /v1/admin/dead-letters/{sequence}",
            "POST /v1/admin/dead-letters/{sequence}/retry",
            "DELETE /v1/admin/dead-letters/{sequence}",
            "GET /v1/health/circuits",
            "GET /v1/health/circuits/history",
            "POST /v1/admin/backfill",
            "GET /v1/searches/{search_id}/results.csv",
            "GET /v1/searches/{search_id}/results.jsonl",
            "GET /v1/saved-searches",
            "POST /v1/saved-searches",
            "GET /v1/saved-searches/{saved_id}",
            "PUT /v1/saved-searches/{saved_id}",
            "DELETE /v1/saved-searches/{saved_id}",
            "GET /v1/triage",
            "GET /v1/triage/{bid_id}",
            "PUT /v1/triage/{bid_id}",
            "DELETE /v1/triage/{bid_id}",
            "GET /v1/admin/keys",
            "POST /v1/admin/keys",
            "DELETE /v1/admin/keys/{key_id}",
            "GET /v1/searches/{search_id}/results",
            "GET /v1/searches/{search_id}/results/{bid_id}/explanation",
            "GET /v1/searches/{search_id}/events",
            "GET /v1/searches/{search_id}/summary",
            "GET /v1/searches/{search_id}/spreadsheet",
            "POST /v1/feedback",
            "DELETE /v1/feedback",
            "GET /v1/admin/feedback/patterns",
            "POST /v1/searches/{search_id}/spreadsheet/link",
            "GET /v1/files/{search_id}/{revision}.xlsx",
            "GET /v1/sectors",
            "GET /v1/vocabulary",
            "GET /v1/health",
            "GET /v1/health/live",
            "GET /v1/health/ready",
            "GET /v1/health/score",
            "GET /v1/health/workers",
            "GET /v1/health/queue",
            "GET /v1/health/deep",
            "GET /v1/metrics/history",
            "GET /v1/admin/levers",
            "PUT /v1/admin/flags/{name}",
            "PUT /v1/admin/sources/{source}",
            "PUT /v1/admin/workers/{worker}",
            "POST /v1/admin/searches/{search_id}/cancel",
            "GET /v1/admin/audit",
            "GET /v1/admin/usage",
            "GET /v1/usage",
        }
        keyless = {name for name, operation in operations.items() if not operation["security"]}
        assert keyless == {
            "GET /v1/files/{search_id}/{revision}.xlsx",
            *(name for name in operations if name.startswith("GET /v1/health")),
        }

    def test_shows_a_problem_with_a_known_code_for_every_error(self) -> None:
        made = orjson.loads(document())
        codes = {
            (int(status), code)
            for operation in _operations(made).values()
            for status, response in operation["responses"].items()
            for content in [response.get("content", {}).get("application/problem+json", {})]
            for code in content.get("examples", {})
        }
        assert codes == {(KINDS[code].status, code) for _, code in codes}
        assert {"request.invalid", "json.invalid", "search.not_found", "bus.unavailable"} <= {code for _, code in codes}
        assert "HTTPValidationError" not in made["components"]["schemas"]

    def test_refers_to_nothing_that_is_missing(self) -> None:
        made = orjson.loads(document())

        def references(value: Any) -> set[str]:
            if isinstance(value, dict):
                own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
                return own.union(*map(references, value.values()))
            return set().union(*map(references, value)) if isinstance(value, list) else set()

        known = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
        assert references(made) <= known
        assert made["openapi"].startswith("3.1")
