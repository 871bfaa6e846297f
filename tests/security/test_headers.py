"""The headers of every kind of answer: what a browser may do with it, and what it tells of us."""

import re
from collections.abc import Generator

import httpx
import pytest

from tests.edge_api.conftest import Launch, MakeDatabase
from tests.edge_api.object_lister import BrokenLister, DownLister
from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

APP = "https://app.test"
PRODUCTION = {
    "ENV": "production",
    "R2_ENDPOINT_URL": "https://127.0.0.1:9",
    "RUNPOD_BASE_URL": "https://127.0.0.1:9/v2",
    "JWT_SECRET": "Zq3x8fPnV1sKd0uYtR7mBwLhJc5gEa2o",
    "GPU_CALLBACK_SECRET": "pL0wNvX4rT9yQe6zKbS1mHdU3fGjA8cC",
}
SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-site",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Nothing here is a page: a browser that is made to show an answer runs and loads nothing."""


class FrailLister(BrokenLister):
    """Breaks where it lists, and is down where it is asked how it is."""

    def ready(self) -> None:
        DownLister().ready()


@pytest.fixture(scope="module")
def frail(launch: Launch, make_database: MakeDatabase) -> Generator[Service]:
    """A service that can be brought to every kind of answer."""
    url = make_database("sqlite")
    with launch(url, lister=FrailLister(), CORS_ORIGINS=APP, CALLS_PER_MINUTE="60") as service:
        yield service


def kinds_of_answers(service: Service) -> dict[str, httpx.Response]:
    phone, tired, rich = service.phone(), service.phone(), service.pro_phone()
    rich.create(100)
    job_id = phone.create(1)["job_id"]
    typed = {"Content-Type": "text/plain"}
    rule = {"name": "n", "preset_id": "interior", **RULE}
    for _ in range(60):
        tired.call("GET", "/presets")
    return {
        "200": phone.call("GET", "/me"),
        "200 with a token": Phone(service.api).call("POST", "/auth/anon"),
        "201": phone.call("POST", "/rules", rule),
        "204 OPTIONS": service.api.options("/health"),
        "400": phone.call("POST", "/rules", {}),
        "401": service.api.get("/me"),
        "402": rich.call("POST", "/jobs", {"preset": "interior", "item_count": 101}),
        "403": phone.call("POST", "/jobs", {"preset": "interior", "item_count": 11}),
        "404": service.api.get("/nope"),
        "404 job": phone.call("GET", "/jobs/job_1"),
        "405": service.api.put("/me"),
        "409": phone.call("POST", f"/jobs/{job_id}/execute", RULE),
        "413": phone.call("POST", "/rules", content=b" " * 300_000),
        "415": phone.call("POST", "/rules", content=b"{}", headers=typed),
        "429": tired.call("GET", "/me"),
        "500": phone.call("POST", f"/jobs/{job_id}/confirm-upload"),
        "503": service.api.get("/health"),
    }


def without_own(headers: httpx.Headers) -> dict[str, str]:
    return {name: headers.get(name, "") for name in SAFE}


def test_every_kind_of_answer_has_the_same_headers(frail: Service) -> None:
    answers = kinds_of_answers(frail)
    statuses = {name: str(response.status_code) for name, response in answers.items()}
    assert {k: v for k, v in statuses.items() if not k.startswith(v)} == {}
    seen = {name: without_own(response.headers) for name, response in answers.items()}
    assert seen == dict.fromkeys(answers, SAFE)


SPOKEN = {
    "access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin",
    "access-control-expose-headers", "access-control-max-age", "allow", "content-length",
    "content-type", "ratelimit", "ratelimit-policy", "retry-after", "vary", "x-request-id",
}  # fmt: skip


def test_no_header_tells_what_we_are_made_of(frail: Service) -> None:
    for name, response in kinds_of_answers(frail).items():
        assert set(response.headers) <= SPOKEN | set(SAFE), name
        text = "\n".join(f"{key}: {value}" for key, value in response.headers.items()).lower()
        assert not re.search(r"litestar|uvicorn|python|sqlite|postgres|msgspec|\d+\.\d+\.\d+", text)


def test_a_preflight_is_as_safe_and_lets_no_cookie_through(frail: Service) -> None:
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    response = frail.api.options("/jobs", headers=asked)
    assert response.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


METHODS = ["HEAD", "TRACE", "CONNECT", "PATCH", "PROPFIND", "FROB"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/health", "/jobs", "/auth/anon", "/docs"])
def test_other_methods_are_refused_and_repeat_nothing(
    service: Service, method: str, path: str
) -> None:
    sent = {"Authorization": "Bearer canary", "X-Canary": "canary", "Cookie": "canary=1"}
    response = service.api.request(method, path, headers=sent)
    assert response.status_code == 405
    assert "canary" not in response.text + str(response.headers)
    assert without_own(response.headers)["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_header_does_not_change_the_method(phone: Phone, name: str) -> None:
    assert phone.call("GET", "/me", headers={name: "DELETE"}).status_code == 200
    assert phone.credits() == 10


def directives(response: httpx.Response) -> dict[str, list[str]]:
    policy = response.headers["content-security-policy"]
    parts = (part.split() for part in policy.split(";"))
    return {name: sources for name, *sources in parts}


def test_the_page_to_try_calls_talks_to_us_alone(service: Service) -> None:
    page = service.api.get("/docs")
    policy = directives(page)
    assert policy["default-src"] == ["'none'"]
    assert policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert page.headers["x-frame-options"] == "DENY"
    assert "'unsafe-eval'" not in page.headers["content-security-policy"]
    assert not any("*" in sources for sources in policy.values())


@pytest.fixture(scope="module")
def production(launch: Launch, make_database: MakeDatabase) -> Generator[Service]:
    with launch(make_database("sqlite"), **PRODUCTION) as service:
        yield service


@pytest.mark.parametrize("path", ["/health", "/nope", "/me", "/presets"])
def test_in_production_a_browser_is_told_to_stay_with_https(production: Service, path: str) -> None:
    told = production.api.get(path).headers["strict-transport-security"]
    age = re.match(r"max-age=(\d+)", told)
    assert age is not None
    assert int(age[1]) >= 180 * 86400


def test_in_development_it_is_not(service: Service) -> None:
    """A browser would remember it for localhost, whatever else runs there later."""
    assert "strict-transport-security" not in service.api.get("/health").headers


DOCS = ["/docs", "/docs/", "/docs/openapi.json", "/docs/openapi.yaml", "/docs/swagger", "/schema"]


@pytest.mark.parametrize("path", [*DOCS, "/docs/assets/swagger-ui-bundle.js"])
def test_in_production_there_is_no_page_to_try_calls(production: Service, path: str) -> None:
    response = production.api.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["message"] == "There is nothing at this address."
