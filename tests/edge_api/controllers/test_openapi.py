"""The OpenAPI document and the page to try it."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from edge_api.controllers.examples import ANSWERS, BODIES, OTHERWISE
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

# The calls of the contract, and those that were added to it.
CALLS = {
    ("GET", "/health"): 200,
    ("GET", "/health/live"): 200,
    ("GET", "/health/ready"): 200,
    ("POST", "/auth/anon"): 200,
    ("GET", "/me"): 200,
    ("DELETE", "/me"): 200,
    ("GET", "/me/export"): 200,
    ("GET", "/presets"): 200,
    ("GET", "/presets/{preset_id}"): 200,
    ("GET", "/materials"): 200,
    ("GET", "/rules"): 200,
    ("POST", "/rules"): 201,
    ("GET", "/rules/{rule_id}"): 200,
    ("PUT", "/rules/{rule_id}"): 200,
    ("DELETE", "/rules/{rule_id}"): 200,
    ("POST", "/jobs"): 201,
    ("GET", "/jobs"): 200,
    ("GET", "/jobs/{job_id}"): 200,
    ("GET", "/jobs/{job_id}/items/{idx}"): 200,
    ("POST", "/jobs/{job_id}/confirm-upload"): 200,
    ("POST", "/jobs/{job_id}/execute"): 202,
    ("POST", "/jobs/{job_id}/cancel"): 200,
    ("POST", "/jobs/{job_id}/callback"): 200,
}


@pytest.fixture(scope="session")
def openapi(shared_service: Service) -> Json:
    return shared_service.api.get("/docs/openapi.json").json()


def operations(openapi: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def nodes(node: object) -> Iterator[Json]:
    """Every object in the document."""
    if isinstance(node, dict):
        whole = cast("Json", node)
        yield whole
        for value in whole.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from nodes(value)


def test_the_document_has_every_call_with_its_status(openapi: Json) -> None:
    documented = {
        (method, path): next(int(s) for s in operation["responses"] if s.startswith("2"))
        for method, path, operation in operations(openapi)
    }
    assert documented == CALLS


def test_every_route_of_the_application_is_in_the_document(service: Service, openapi: Json) -> None:
    app = cast("Litestar", cast("Any", service.api).app)
    routed = {
        (method, re.sub(r":\w+\}", "}", route.path))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS" and not route.path.startswith(("/docs", "/metrics"))
    }
    assert routed == {(method, path) for method, path, _ in operations(openapi)}


def test_operation_ids_are_unique_names(openapi: Json) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(openapi)]
    assert len(set(ids)) == len(ids) == len(CALLS)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in ids)


def test_there_is_no_union_that_a_client_would_have_to_tell_apart(openapi: Json) -> None:
    for node in nodes(openapi):
        assert "oneOf" not in node
        assert "discriminator" not in node


def test_every_reference_leads_somewhere(openapi: Json) -> None:
    schemas = openapi["components"]["schemas"]
    references = {node["$ref"] for node in nodes(openapi) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in schemas, reference


def test_names_show_nothing_of_the_modules(openapi: Json) -> None:
    for name, schema in openapi["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z]+", name), name
        assert schema["title"] == name or name.startswith("Callback"), name
    text = json.dumps(openapi)
    assert "edge_api" not in text
    assert "msgspec" not in text


def test_every_error_is_the_envelope_with_an_example(openapi: Json) -> None:
    for method, path, operation in operations(openapi):
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                continue
            (content,) = response["content"].values()
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}
            assert content["examples"], f"{method} {path} {status}"
            for code, example in content["examples"].items():
                assert example["value"]["error"]["code"] == code
                assert f"`{code}`" in response["description"]


@pytest.mark.parametrize("call", CALLS)
def test_what_may_go_wrong_is_documented(openapi: Json, call: tuple[str, str]) -> None:
    method, path = call
    responses = openapi["paths"][path][method.lower()]["responses"]
    expected = {"415", "500"}
    if not path.startswith("/health") and path != "/auth/anon" and not path.endswith("/callback"):
        expected |= {"401"}
    if "{" in path:
        expected |= {"404"}
    if method in {"POST", "PUT"}:
        expected |= {"400", "413"}
    assert expected <= set(responses)


def test_who_needs_a_token(openapi: Json) -> None:
    assert openapi["security"] == [{"bearer": []}]
    assert openapi["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    public = {p: o["security"] for _, p, o in operations(openapi) if "security" in o}
    assert public == {
        "/health": [{}],
        "/health/live": [{}],
        "/health/ready": [{}],
        "/auth/anon": [{}],
        "/jobs/{job_id}/callback": [{"webhookSignature": []}],
    }


REQUIRED = {
    "Account": {"user_id", "token", "plan", "is_new"},
    "Me": {"user_id", "plan", "credits", "rule_slots", "concurrent_jobs"},
    "PresetSummary": {"id", "name", "concept_count"},
    "OutputTemplateView": {"id", "name", "description"},
    "RuleView": {"id", "name", "preset_id", "created_at", "concepts", "protect"},
    "UploadLink": {"idx", "url", "key"},
    "JobCreated": {"job_id", "presigned_urls", "expires_at"},
    "JobSummaryView": {"job_id", "status", "preset", "created_at", "progress"},
    "Progress": {"done", "failed", "total"},
    "JobView": {
        "job_id", "status", "preset", "total_items", "done_items", "failed_items",
        "items", "download_urls",
    },
    "ItemStateView": {"idx", "status"},
    "DownloadLink": {"idx", "output_url", "preview_url"},
    "Meta": {"request_id", "timestamp"},
}  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_what_the_app_casts_is_required_and_never_null(openapi: Json, name: str) -> None:
    schema = openapi["components"]["schemas"][name]
    assert REQUIRED[name] <= set(schema["required"])
    for field in REQUIRED[name]:
        assert "null" not in json.dumps(schema["properties"][field])


def test_an_answer_has_the_fields_that_are_documented(service: Service, openapi: Json) -> None:
    schemas = openapi["components"]["schemas"]
    phone = service.phone()
    job_id = phone.queued_job(1)
    worker = service.worker(job_id)
    assert worker.processed(0)
    job = phone.job(job_id)
    answers = {
        "Account": phone.data("POST", "/auth/anon"),
        "Me": phone.data("GET", "/me"),
        "JobView": job,
        "ItemStateView": job["items"][0],
        "DownloadLink": job["download_urls"][0],
        "JobSummaryView": phone.data("GET", "/jobs")[0],
        "PresetDetail": phone.data("GET", "/presets/seller"),
        "MaterialView": phone.data("GET", "/materials")[0],
        "Health": phone.data("GET", "/health"),
    }
    for name, answer in answers.items():
        schema = schemas[name]
        assert set(schema["required"]) <= set(answer) <= set(schema["properties"]), name


def test_the_callback_s_body_is_documented(openapi: Json) -> None:
    body = openapi["paths"]["/jobs/{job_id}/callback"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    name = schema["$ref"].rsplit("/", 1)[-1]
    properties = openapi["components"]["schemas"][name]["properties"]
    assert {"idx", "status", "output_key", "idempotency_key", "attempt"} <= set(properties)


def test_the_page_names_only_files_of_our_own_and_they_are_served(service: Service) -> None:
    page = service.api.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    files = [name for name in named if not name.startswith("data:")]
    assert len(files) == 2
    for name in files:
        assert name.startswith("/docs/assets/")
        asset = service.api.get(name)
        assert asset.status_code == 200
        assert len(asset.content) > 10_000
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert '"/docs/openapi.json"' in page.text


def test_the_types_of_the_assets_fit_nosniff(service: Service) -> None:
    script = service.api.get("/docs/assets/swagger-ui-bundle.js")
    style = service.api.get("/docs/assets/swagger-ui.css")
    assert script.headers["content-type"].startswith("text/javascript")
    assert style.headers["content-type"].startswith("text/css")
    assert "max-age" in script.headers["cache-control"]


@pytest.mark.parametrize("name", ["nope.js", "..%2f..%2f__init__.py", "__init__.py", "%00"])
def test_no_other_file_is_served(service: Service, name: str) -> None:
    assert service.api.get(f"/docs/assets/{name}").status_code == 404


def test_every_call_has_an_example_that_its_types_accept(openapi: Json) -> None:
    for _, _, operation in operations(openapi):
        name = operation["operationId"]
        for status in (code for code in operation["responses"] if code.startswith("2")):
            example = operation["responses"][status]["content"]["application/json"]["example"]
            assert (example["success"], example["error"]) == (True, None)
            expected = OTHERWISE.get((name, int(status)), ANSWERS[name])
            assert example["data"] == msgspec.to_builtins(expected)
        if "requestBody" in operation:
            body = operation["requestBody"]["content"]["application/json"]["example"]
            assert msgspec.convert(body, type(BODIES[name])) == BODIES[name]


def test_an_example_can_be_sent_as_it_stands(phone: Phone) -> None:
    def send(method: str, path: str, name: str) -> httpx.Response:
        return phone.call(method, path, msgspec.to_builtins(BODIES[name]))

    assert send("POST", "/auth/anon", "SignUp").status_code == 200
    created = send("POST", "/rules", "CreateRule")
    assert created.status_code == 201
    rule_id = created.json()["data"]["rule"]["id"]
    assert send("PUT", f"/rules/{rule_id}", "UpdateRule").status_code == 200
    assert send("POST", "/jobs", "CreateJob").status_code == 201
    job_id = phone.uploaded_job()
    assert send("POST", f"/jobs/{job_id}/execute", "ExecuteJob").status_code == 202
