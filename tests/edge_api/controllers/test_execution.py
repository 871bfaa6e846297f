"""Executing a job: rules, defaults, protection, warnings, and what the worker is sent."""

import hashlib
from typing import Any

import httpx
import pytest

from shared.presets import PRESETS
from tests.edge_api.phone import PHOTO, RULE, Phone
from tests.edge_api.service import Service

Json = dict[str, Any]


def recolor(value: str | None = "oak_a") -> Json:
    return {"action": "recolor", "value": value}


def execute(phone: Phone, body: object, preset: str = "interior") -> httpx.Response:
    job_id = phone.uploaded_job(1, preset)
    return phone.call("POST", f"/jobs/{job_id}/execute", body)


def codes(data: Json, concept: str | None = None) -> list[str]:
    """The warnings' codes: of one concept, or all."""
    return [w["code"] for w in data["warnings"] if concept in (None, w.get("concept"))]


def test_executing_answers_what_the_app_casts(phone: Phone) -> None:
    job_id = phone.uploaded_job()
    response = phone.call("POST", f"/jobs/{job_id}/execute", RULE)
    assert response.status_code == 202
    data = response.json()["data"]
    assert data["queued"] is True
    assert (data["job_id"], data["status"]) == (job_id, "queued")
    assert isinstance(data["warnings"], list)
    for warning in data["warnings"]:
        assert isinstance(warning["code"], str)
        assert isinstance(warning["message"], str)


def test_the_message_to_the_worker(service: Service) -> None:
    phone = service.phone()
    body = {
        "concepts": {"벽": recolor("Oak A"), "Door": recolor("#abc")},
        "protect": ["grout"],
        "output_template": "before_after",
    }
    job_id = phone.queued_job(2, body)
    message = service.runpod.wait_for_run(job_id)
    folder = f"{phone.user_id}/{job_id}"
    assert message == {
        "schema_version": 1,
        "job_id": job_id,
        "dispatch_id": message["dispatch_id"],
        "attempt": 1,
        "user_id": phone.user_id,
        "preset": "interior",
        "concepts": {"Wall": recolor("oak_a"), "Door": recolor("#AABBCC")},
        "protect": ["Grout"],
        "items": [
            {
                "idx": idx,
                "input_key": f"inputs/{folder}/{idx}.jpg",
                "output_key": f"outputs/{folder}/{idx}_result.png",
                "preview_key": f"previews/{folder}/{idx}_thumb.jpg",
                "input_etag": hashlib.md5(PHOTO).hexdigest(),
            }
            for idx in range(2)
        ],
        "callback_url": f"https://api.test/jobs/{job_id}/callback",
        "idempotency_prefix": job_id,
        "batch_concurrency": 4,
        "request_id": message["request_id"],
    }
    assert len(message["request_id"]) == 32


def test_the_request_to_runpod(service: Service) -> None:
    phone = service.phone()
    message = service.runpod.wait_for_run(phone.queued_job(2))
    run = next(run for run in service.runpod.runs if run["input"] == message)
    assert set(run) == {"input", "policy"}
    assert run["policy"]["executionTimeout"] >= 60_000
    assert run["policy"]["ttl"] > run["policy"]["executionTimeout"]
    request = next(r for r in service.runpod.requests if message["job_id"].encode() in r.content)
    assert str(request.url) == "http://runpod.test/v2/endpoint1/run"
    assert request.headers["authorization"] == "Bearer runpod-api-key"
    for secret in (service.settings.jwt_secret, *service.settings.callback_secrets):
        assert secret.reveal().encode() not in request.content
    assert service.settings.storage_secret_key.reveal().encode() not in request.content


def test_a_job_shows_what_it_runs_with(phone: Phone) -> None:
    job_id = phone.uploaded_job(1)
    body = {"concepts": {"Wall": recolor()}, "protect": ["Door"], "output_template": "전후비교"}
    phone.execute(job_id, body)
    job = phone.job(job_id)
    assert job["status"] in {"queued", "running"}
    assert job["concepts"] == {"Wall": recolor()}
    assert job["protect"] == ["Door"]
    assert job["output_template"] == "전후비교"


@pytest.mark.parametrize("empty", ["", None, "   "], ids=repr)
@pytest.mark.parametrize("preset_id", ["interior", "seller"])
def test_quick_apply(service: Service, preset_id: str, empty: str | None) -> None:
    phone = service.phone()
    preset = phone.data("GET", f"/presets/{preset_id}")
    concepts = {concept: recolor(empty) for concept in preset["concepts"]}
    response = execute(phone, {"concepts": concepts}, preset_id)
    assert response.status_code == 202
    data = response.json()["data"]
    defaults = {c["id"]: c["defaults"]["recolor"] for c in preset["concept_details"]}
    protected = set(preset["protect_defaults"])
    expected = {c: recolor(value) for c, value in defaults.items() if c not in protected}
    assert data["concepts"] == expected
    assert data["protect"] == preset["protect_defaults"]
    assert "PROTECT_DEFAULTS" in codes(data)
    for concept in preset["concepts"]:
        wanted = "PROTECTED_CONCEPT" if concept in protected else "DEFAULT_VALUE"
        assert codes(data, concept) == [wanted]
    message = service.runpod.wait_for_run(data["job_id"])
    assert message["concepts"] == expected


@pytest.mark.parametrize("preset_id", ["interior", "seller"])
def test_quick_apply_without_protection_takes_every_default(phone: Phone, preset_id: str) -> None:
    preset = PRESETS[preset_id]
    concepts = {concept.id: recolor("") for concept in preset.concepts}
    data = execute(phone, {"concepts": concepts, "protect_defaults": False}, preset_id).json()
    assert data["data"]["concepts"] == {
        concept.id: recolor(concept.defaults["recolor"]) for concept in preset.concepts
    }


@pytest.mark.parametrize(
    "body", [{}, {"protect": None}, {"protect": []}, {"protect_defaults": True}], ids=str
)
def test_protection_is_on_by_default_and_a_warning_says_so(phone: Phone, body: Json) -> None:
    data = execute(phone, RULE | body).json()["data"]
    assert data["protect"] == ["Grout", "Frame_Molding", "Glass_highlight"]
    (warning,) = [w for w in data["warnings"] if w["code"] == "PROTECT_DEFAULTS"]
    assert "Glass_highlight" in warning["message"]


@pytest.mark.parametrize("protect", [{}, {"protect": []}, {"protect": None}], ids=str)
def test_protection_can_be_turned_off(phone: Phone, protect: Json) -> None:
    data = execute(phone, RULE | protect | {"protect_defaults": False}).json()["data"]
    assert data["protect"] == []
    assert codes(data) == []


def test_what_is_protected_by_name_takes_the_place_of_the_defaults(phone: Phone) -> None:
    data = execute(phone, RULE | {"protect": ["Window"]}).json()["data"]
    assert data["protect"] == ["Window"]
    assert "PROTECT_DEFAULTS" not in codes(data)


@pytest.mark.parametrize("name", ["Floor", "floor", "FLOOR", "바닥"])
def test_protect_wins(phone: Phone, name: str) -> None:
    body = {"concepts": {"Wall": recolor(), "Floor": recolor()}, "protect": [name]}
    data = execute(phone, body).json()["data"]
    assert data["concepts"] == {"Wall": recolor()}
    assert data["protect"] == ["Floor"]
    assert codes(data, "Floor") == ["PROTECTED_CONCEPT"]


def test_protecting_everything_is_a_warning(phone: Phone) -> None:
    data = execute(phone, RULE | {"protect": ["Wall"]}).json()["data"]
    assert data["concepts"] == {}
    assert codes(data) == ["PROTECTED_CONCEPT", "NOTHING_TO_DO"]


def test_open_vocabulary(service: Service) -> None:
    phone = service.phone()
    body = {"concepts": {"red_sofa": recolor("sage")}, "protect": ["picture frame"]}
    data = execute(phone, body).json()["data"]
    assert data["concepts"] == {"red_sofa": recolor("sage")}
    assert data["protect"] == ["picture_frame"]
    assert codes(data, "red_sofa") == ["OPEN_VOCABULARY"]
    assert codes(data, "picture_frame") == ["OPEN_VOCABULARY"]
    (warning,) = [w for w in data["warnings"] if w.get("concept") == "red_sofa"]
    assert "'red sofa'" in warning["message"]
    assert service.runpod.wait_for_run(data["job_id"])["concepts"] == data["concepts"]


def test_open_vocabulary_has_sixty_four_characters(phone: Phone) -> None:
    assert execute(phone, {"concepts": {"x" * 64: recolor()}}).status_code == 202


@pytest.mark.parametrize("name", ["x" * 65, "", "   ", "___", "!!!", "tab\u0007bell"])
def test_a_name_that_cannot_be_a_concept(phone: Phone, name: str) -> None:
    for body in ({"concepts": {name: recolor()}}, RULE | {"protect": [name]}):
        response = execute(phone, body)
        assert response.status_code == 400
        (problem,) = response.json()["error"]["details"]
        assert problem["path"].startswith(("concepts.", "protect[0]"))
        phone.cancel(phone.data("GET", "/jobs")[0]["job_id"])


BAD = [
    ({"action": "paint", "value": "oak_a"}, "concepts.Wall.action", None),
    ({"action": "recolr", "value": "oak_a"}, "concepts.Wall.action", "recolor"),
    ({"action": "", "value": "oak_a"}, "concepts.Wall.action", "recolor"),
    ({"action": "recolor", "value": "ofwhite_b"}, "concepts.Wall.value", "offwhite_b"),
    ({"action": "recolor", "value": "#12"}, "concepts.Wall.value", None),
    ({"action": "tone", "value": "wram"}, "concepts.Wall.value", "warm"),
    ({"action": "tone", "value": "warmth=7"}, "concepts.Wall.value", None),
    ({"action": "texture", "value": "oak_z"}, "concepts.Wall.value", "oak_a"),
]


@pytest.mark.parametrize(("rule", "path", "suggestion"), BAD)
def test_what_does_not_resolve_names_the_path_and_the_nearest_values(
    phone: Phone, rule: Json, path: str, suggestion: str | None
) -> None:
    job_id = phone.uploaded_job(1)
    response = phone.call("POST", f"/jobs/{job_id}/execute", {"concepts": {"Wall": rule}})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    (problem,) = error["details"]
    assert problem["path"] == path
    assert problem["message"]
    assert suggestion is None or suggestion in problem["suggestions"]
    assert phone.job(job_id)["status"] == "uploaded"


def test_every_problem_is_named_at_once(phone: Phone) -> None:
    body = {
        "concepts": {"Wall": {"action": "paint"}, "Floor": recolor("zzz")},
        "protect": ["Grout", ""],
    }
    details = execute(phone, body).json()["error"]["details"]
    paths = [problem["path"] for problem in details]
    assert paths == ["concepts.Wall.action", "concepts.Floor.value", "protect[1]"]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b"{}", "concepts"),
        (b'{"concepts": {}}', "concepts"),
        (b'{"concepts": null}', "concepts"),
        (b'{"rule_id": ""}', "concepts"),
        (b'{"concepts": []}', "concepts"),
        (b'{"concepts": {"Wall": "oak"}}', "concepts"),
        (b'{"concepts": {"Wall": {"value": "oak_a"}}}', "concepts"),
        (b'{"concepts": {"Wall": {"action": 5}}}', "concepts"),
        (b'{"concepts": {"Wall": {"action": "recolor", "value": 5}}}', "concepts"),
        (b'{"protect": "Grout", "concepts": {"Wall": {"action": "recolor"}}}', "protect"),
        (b"[]", "body"),
        (b"", "body"),
    ],
)
def test_a_body_that_does_not_fit(phone: Phone, content: bytes, path: str) -> None:
    job_id = phone.uploaded_job(1)
    response = phone.call("POST", f"/jobs/{job_id}/execute", content=content)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert error["details"][0]["path"].startswith(path)


def test_the_same_concept_twice_is_a_400(phone: Phone) -> None:
    response = execute(phone, {"concepts": {"Wall": recolor(), "벽": recolor("sage")}})
    assert response.status_code == 400


def test_open_vocabulary_needs_a_value(phone: Phone) -> None:
    response = execute(phone, {"concepts": {"red sofa": recolor("")}})
    assert response.json()["error"]["details"][0]["path"] == "concepts.red sofa.value"


@pytest.mark.parametrize(
    ("action", "value", "canonical"),
    [
        ("recolor", "오크", "oak_a"),
        ("recolor", "OAK A", "oak_a"),
        ("recolor", "rebeccapurple", "#663399"),
        ("recolor", "#fff", "#FFFFFF"),
        ("Recolor", "oak_a", "oak_a"),
        ("tone", "Warm", "warm"),
        ("tone", "warmth=0.2, brightness=-.1", "brightness=-0.1,warmth=0.2"),
        ("tone", "warm=0.5", "warmth=0.2"),
        ("texture", "헤링본 오크", "herringbone_oak"),
        ("remove", "", ""),
    ],
)
def test_values_become_canonical(phone: Phone, action: str, value: str, canonical: str) -> None:
    body = {"concepts": {"Wall": {"action": action, "value": value}}}
    data = execute(phone, body).json()["data"]
    assert data["concepts"] == {"Wall": {"action": action.lower(), "value": canonical}}


@pytest.mark.parametrize(
    ("preset", "sent", "stored"),
    [
        ("interior", "시안3안팩", "시안3안팩"),
        ("interior", "three_proposals", "시안3안팩"),
        ("interior", "share_card", "고객공유카드"),
        ("seller", "thumbnails_8", "썸네일8종"),
    ],
)
def test_output_templates_by_id_and_alias(
    phone: Phone, preset: str, sent: str, stored: str
) -> None:
    concept = PRESETS[preset].concepts[0].id
    body = {"concepts": {concept: recolor()}, "output_template": sent}
    job_id = execute(phone, body, preset).json()["data"]["job_id"]
    assert phone.job(job_id)["output_template"] == stored


def test_an_unknown_output_template_is_a_400(phone: Phone) -> None:
    response = execute(phone, RULE | {"output_template": "상품팩"})
    (problem,) = response.json()["error"]["details"]
    assert (response.status_code, problem["path"]) == (400, "output_template")
    assert "전후비교" in problem["suggestions"]


@pytest.mark.parametrize("empty", ["", None])
def test_no_output_template(phone: Phone, empty: str | None) -> None:
    job_id = execute(phone, RULE | {"output_template": empty}).json()["data"]["job_id"]
    assert "output_template" not in phone.job(job_id)


def save_rule(phone: Phone, **changes: object) -> str:
    body = {"name": "r", "preset_id": "interior", "concepts": {"Floor": recolor("sage")}}
    return phone.data("POST", "/rules", body | changes)["rule"]["id"]


def test_a_named_rule_overrides_what_is_inline(phone: Phone) -> None:
    rule_id = save_rule(phone, protect=["Door"])
    body = {"rule_id": rule_id, "concepts": {"Wall": recolor()}, "protect": ["Window"]}
    data = execute(phone, body).json()["data"]
    assert data["concepts"] == {"Floor": recolor("sage")}
    assert data["protect"] == ["Door"]


def test_a_named_rule_alone(phone: Phone) -> None:
    data = execute(phone, {"rule_id": save_rule(phone)}).json()["data"]
    assert data["concepts"] == {"Floor": recolor("sage")}
    assert data["protect"] == []
    assert "PROTECT_DEFAULTS" not in codes(data)


def test_a_rule_with_empty_values_takes_the_defaults(phone: Phone) -> None:
    data = execute(phone, {"rule_id": save_rule(phone, concepts={"Wall": recolor(None)})}).json()
    assert data["data"]["concepts"] == {"Wall": recolor("offwhite_b")}
    assert codes(data["data"], "Wall") == ["DEFAULT_VALUE"]


def test_a_rule_of_another_user_or_none_is_not_found(service: Service) -> None:
    phone, other = service.phone(), service.phone()
    foreign = save_rule(other)
    job_id = phone.uploaded_job(1)
    for rule_id in (foreign, "rule_nope", "x" * 500):
        response = phone.call("POST", f"/jobs/{job_id}/execute", {"rule_id": rule_id})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (404, "RULE_NOT_FOUND")
    assert phone.job(job_id)["status"] == "uploaded"


def test_a_rule_for_another_preset_is_a_400(phone: Phone) -> None:
    rule_id = save_rule(phone, preset_id="seller", concepts={"Body": recolor()})
    response = execute(phone, {"rule_id": rule_id})
    (problem,) = response.json()["error"]["details"]
    assert (response.status_code, problem["path"]) == (400, "rule_id")


def test_a_rule_that_changes_later_does_not_touch_the_job(service: Service) -> None:
    phone = service.phone()
    rule_id = save_rule(phone, protect=["Door"])
    job_id = phone.queued_job(1, {"rule_id": rule_id})
    phone.data("PUT", f"/rules/{rule_id}", {"concepts": {"Wall": recolor()}, "protect": []})
    phone.data("DELETE", f"/rules/{rule_id}")
    job = phone.job(job_id)
    assert job["concepts"] == {"Floor": recolor("sage")}
    assert job["protect"] == ["Door"]
    assert service.runpod.wait_for_run(job_id)["concepts"] == {"Floor": recolor("sage")}
    again = phone.call("POST", f"/jobs/{job_id}/execute", {"rule_id": rule_id})
    assert again.status_code == 202


def test_the_same_body_again_answers_as_the_first_did(service: Service) -> None:
    phone = service.phone()
    body: Json = {
        "concepts": {"Wall": recolor(""), "Floor": recolor()},
        "protect": ["Door", "Light"],
    }
    job_id = phone.uploaded_job(1)
    first = phone.execute(job_id, body)
    reordered = {
        "protect": ["Door", "Light"],
        "rule_id": None,
        "concepts": {"Floor": recolor(), "Wall": recolor("")},
    }
    for again in (body, reordered):
        assert phone.execute(job_id, again) == first
    service.runpod.wait_for_run(job_id)
    rows = service.rows("SELECT attempt FROM dispatches WHERE job_id = :job", job=job_id)
    assert rows == [{"attempt": 1}]


@pytest.mark.parametrize(
    "other",
    [
        {"concepts": {"Wall": recolor("sage")}},
        {"concepts": {"Floor": recolor()}},
        RULE | {"protect": ["Door"]},
        RULE | {"protect_defaults": False},
        RULE | {"output_template": "before_after"},
    ],
)
def test_another_body_is_refused_once_the_job_runs(phone: Phone, other: Json) -> None:
    job_id = phone.queued_job(1)
    response = phone.call("POST", f"/jobs/{job_id}/execute", other)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (409, "INVALID_TRANSITION")
    assert phone.job(job_id)["concepts"] == RULE["concepts"]
