"""Saved rules: their slots, their life, and that they read back as they were written."""

import time
from datetime import datetime
from typing import Any

import pytest

from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

WALL: Json = {"Wall": {"action": "recolor", "value": "oak_a"}}


def body(**changes: object) -> Json:
    return {"name": "Warm oak", "preset_id": "interior", "concepts": WALL} | changes


def save(phone: Phone, **changes: object) -> Json:
    return phone.data("POST", "/rules", body(**changes))["rule"]


def test_a_saved_rule_has_what_the_app_casts(phone: Phone) -> None:
    response = phone.call("POST", "/rules", body(protect=["Grout"]))
    assert response.status_code == 201
    rule = response.json()["data"]["rule"]
    assert set(rule) == {
        "id", "name", "preset_id", "created_at", "updated_at", "concepts", "protect",
    }  # fmt: skip
    assert all(isinstance(rule[f], str) and rule[f] for f in ("id", "created_at", "updated_at"))
    assert (rule["name"], rule["preset_id"]) == ("Warm oak", "interior")
    assert rule["concepts"] == WALL
    assert rule["protect"] == ["Grout"]


def test_times_are_iso_8601_in_utc(phone: Phone) -> None:
    rule = save(phone)
    moment = datetime.fromisoformat(rule["created_at"])
    assert moment.tzinfo is not None
    assert abs(moment.timestamp() - time.time()) < 60
    assert rule["updated_at"] == rule["created_at"]


def test_a_rule_reads_back_the_same_on_every_road(phone: Phone) -> None:
    rule = save(phone, name="이름 é 😀", protect=["Grout", "door mat"])
    assert phone.data("GET", f"/rules/{rule['id']}") == {"rule": rule}
    assert phone.data("GET", "/rules") == {"rules": [rule]}


@pytest.mark.parametrize("written", [{"value": None}, {"value": ""}, {}], ids=str)
def test_an_empty_value_reads_back_as_an_empty_string(phone: Phone, written: Json) -> None:
    concepts = {"Wall": {"action": "recolor"} | written}
    rule = save(phone, concepts=concepts)
    expected = {"Wall": {"action": "recolor", "value": ""}}
    assert rule["concepts"] == expected
    assert phone.data("GET", f"/rules/{rule['id']}")["rule"]["concepts"] == expected


@pytest.mark.parametrize("word", ["null", "None", "true", "1"])
def test_text_stays_text(phone: Phone, word: str) -> None:
    rule = save(phone, name=word)
    assert rule["name"] == word
    renamed = phone.data("PUT", f"/rules/{rule['id']}", {"name": f"{word}"})["rule"]
    assert renamed["name"] == word


def test_a_new_user_has_no_rules(phone: Phone) -> None:
    assert phone.data("GET", "/rules") == {"rules": []}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "New"}, {"name": "New"}),
        (
            {"concepts": {"Floor": {"action": "tone", "value": "warm"}}},
            {"concepts": {"Floor": {"action": "tone", "value": "warm"}}},
        ),
        ({"protect": ["Door"]}, {"protect": ["Door"]}),
        ({"protect": []}, {"protect": []}),
        ({}, {}),
        ({"name": None, "concepts": None, "protect": None}, {}),
    ],
    ids=["name", "concepts", "protect", "no protect", "nothing", "nulls"],
)
def test_a_change_touches_only_what_is_given(phone: Phone, change: Json, expected: Json) -> None:
    rule = save(phone, protect=["Grout"])
    time.sleep(0.002)
    changed = phone.data("PUT", f"/rules/{rule['id']}", change)["rule"]
    assert changed == rule | expected | {"updated_at": changed["updated_at"]}
    assert changed["updated_at"] > rule["updated_at"]
    assert phone.data("GET", f"/rules/{rule['id']}")["rule"] == changed


def test_a_change_without_a_body_changes_nothing(phone: Phone) -> None:
    rule = save(phone)
    changed = phone.data("PUT", f"/rules/{rule['id']}")["rule"]
    assert (changed["name"], changed["concepts"]) == (rule["name"], rule["concepts"])


def test_the_preset_of_a_rule_cannot_be_changed(phone: Phone) -> None:
    rule = save(phone)
    changed = phone.data("PUT", f"/rules/{rule['id']}", {"preset_id": "seller"})["rule"]
    assert changed["preset_id"] == "interior"


def test_a_deleted_rule_is_gone(phone: Phone) -> None:
    rule = save(phone)
    gone = phone.data("DELETE", f"/rules/{rule['id']}")
    assert gone == {"id": rule["id"], "deleted": True}
    for method in ("GET", "PUT", "DELETE"):
        response = phone.call(method, f"/rules/{rule['id']}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "RULE_NOT_FOUND")
    assert phone.data("GET", "/rules") == {"rules": []}


def test_slots_are_full_at_the_limit_and_free_again_after_a_delete(phone: Phone) -> None:
    first = save(phone, name="1")
    save(phone, name="2")
    response = phone.call("POST", "/rules", body(name="3"))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (403, "RULE_SLOT_FULL")
    assert error["details"] == {"limit": 2}
    phone.data("DELETE", f"/rules/{first['id']}")
    save(phone, name="3")
    assert [rule["name"] for rule in phone.data("GET", "/rules")["rules"]] == ["2", "3"]


def test_the_pro_plan_has_twenty_slots(service: Service) -> None:
    phone = service.pro_phone()
    for number in range(20):
        save(phone, name=str(number))
    assert phone.call("POST", "/rules", body()).status_code == 403


def test_one_user_s_rules_take_no_slot_of_another(service: Service) -> None:
    mine, theirs = service.phone(), service.phone()
    save(mine)
    save(mine)
    assert save(theirs)["id"]
    assert len(theirs.data("GET", "/rules")["rules"]) == 1


UNFIT = [
    (b"", "body"),
    (b"{}", "name"),
    (b"[]", "body"),
    (b"null", "body"),
    (b"{", "body"),
]


@pytest.mark.parametrize(("content", "path"), UNFIT)
def test_a_body_that_is_no_rule_is_a_400(phone: Phone, content: bytes, path: str) -> None:
    response = phone.call("POST", "/rules", content=content)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert [problem["path"] for problem in error["details"]] == [path]
    assert "'data'" not in error["message"]


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "x" * 201}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"preset_id": 5}, ["preset_id"]),
        ({"concepts": {}}, ["concepts"]),
        ({"concepts": None}, ["concepts"]),
        ({"concepts": []}, ["concepts"]),
        ({"protect": "Grout"}, ["protect"]),
        ({"protect": ["Grout", 5]}, ["protect[1]"]),
        ({"protect": [""]}, ["protect[0]"]),
        ({"protect": ["Grout"] * 33}, ["protect"]),
        ({"concepts": {"Wall": {"action": "paint", "value": ""}}}, ["concepts.Wall.action"]),
        ({"concepts": {"Wall": {"action": "recolor", "value": "oka_a"}}}, ["concepts.Wall.value"]),
        ({"concepts": {"": {"action": "recolor", "value": "oak_a"}}}, ["concepts."]),
        ({"concepts": {"x" * 65: {"action": "recolor", "value": "oak_a"}}}, None),
        (
            {
                "concepts": {
                    "Wall": {"action": "paint", "value": ""},
                    "Floor": {"action": "tone", "value": "purple"},
                },
                "protect": ["  "],
            },
            ["concepts.Wall.action", "concepts.Floor.value", "protect[0]"],
        ),
    ],
)
def test_a_rule_that_does_not_fit_names_the_path(
    phone: Phone, changes: Json, paths: list[str] | None
) -> None:
    response = phone.call("POST", "/rules", body(**changes))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert all(problem["message"] for problem in error["details"])
    if paths is not None:
        assert [problem["path"] for problem in error["details"]] == paths
    assert phone.data("GET", "/rules") == {"rules": []}


def test_a_refused_rule_takes_no_slot(phone: Phone) -> None:
    for _ in range(3):
        assert phone.call("POST", "/rules", body(concepts={})).status_code == 400
    save(phone)
    save(phone)


def test_suggestions_name_the_nearest_known_values(phone: Phone) -> None:
    concepts = {
        "Wall": {"action": "recolr", "value": "oak_a"},
        "Floor": {"action": "recolor", "value": "ofwhite_b"},
    }
    error = phone.call("POST", "/rules", body(concepts=concepts)).json()["error"]
    by_path = {problem["path"]: problem["suggestions"] for problem in error["details"]}
    assert by_path["concepts.Wall.action"][0] == "recolor"
    assert "offwhite_b" in by_path["concepts.Floor.value"]


def test_a_rule_for_an_unknown_preset(phone: Phone) -> None:
    response = phone.call("POST", "/rules", body(preset_id="garden"))
    assert (response.status_code, response.json()["error"]["code"]) == (404, "INVALID_PRESET")


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"concepts": {}}, {"concepts": {"Wall": {"action": "paint", "value": ""}}}],
)
def test_a_change_that_does_not_fit_leaves_the_rule_as_it_was(phone: Phone, change: Json) -> None:
    rule = save(phone)
    assert phone.call("PUT", f"/rules/{rule['id']}", change).status_code == 400
    assert phone.data("GET", f"/rules/{rule['id']}")["rule"] == rule


def test_actions_that_are_not_available_yet_may_be_saved(phone: Phone) -> None:
    concepts = {
        "Wall": {"action": "texture", "value": "oak_a"},
        "Light": {"action": "remove", "value": ""},
    }
    assert save(phone, concepts=concepts)["concepts"] == concepts
