"""Which web pages may call the service: those that are configured, and by default none."""

from collections.abc import Generator

import httpx
import pytest

from tests.edge_api.conftest import Launch, MakeDatabase
from tests.edge_api.service import Service

APP, STAGING, OTHER = "https://app.test", "https://staging.app.test", "https://other.test"


@pytest.fixture(scope="module")
def web(launch: Launch, make_database: MakeDatabase) -> Generator[Service]:
    with launch(make_database("sqlite"), CORS_ORIGINS=f"{APP}, {STAGING}") as service:
        yield service


def preflight(service: Service, origin: str, method: str = "POST") -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return service.api.options("/jobs", headers=headers)


@pytest.mark.parametrize("origin", [APP, STAGING])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_configured_page_may_call(web: Service, origin: str, method: str) -> None:
    headers = preflight(web, origin, method).headers
    assert headers["access-control-allow-origin"] == origin
    assert method in headers["access-control-allow-methods"]
    allowed = headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    assert "origin" in headers["vary"].lower()
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("path", ["/health", "/me", "/nope", "/jobs"])
def test_answers_and_refusals_reach_a_configured_page(web: Service, path: str) -> None:
    headers = web.api.get(path, headers={"Origin": APP}).headers
    assert headers["access-control-allow-origin"] == APP
    assert "x-request-id" in headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize(
    "origin", [OTHER, "https://app.test.evil.test", "http://app.test", "null", "https://xapp.test"]
)
def test_another_page_may_not(web: Service, origin: str) -> None:
    for response in (preflight(web, origin), web.api.get("/health", headers={"Origin": origin})):
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", [APP, OTHER, "null"])
def test_by_default_no_page_may(service: Service, origin: str) -> None:
    refused = preflight(service, origin)
    assert not refused.is_success
    answered = service.api.get("/health", headers={"Origin": origin})
    assert answered.status_code == 200
    for response in (refused, answered):
        assert "access-control-allow-origin" not in response.headers
