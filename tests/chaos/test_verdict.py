"""What the verdict is made of sees what it is there for."""

import hashlib
import io
import random
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from infra.local.store.serving import serve_store
from shared.objects import ObjectStore
from shared.signing import InvalidSignature, verify
from tests.chaos.forgeries import Forger
from tests.chaos.leaks import CANARY, leaks
from tests.chaos.photos import SIZE
from tests.chaos.plan import Odds
from tests.chaos.verdict import Rows, judge_objects, judge_results, judge_rows
from tests.chaos.weather import Weather
from tests.chaos.witness import Witness

SECRET = "s" * 40
JOB = {"id": "job_1", "user_id": "usr_1", "status": "done", "refunded": 1}


def rows(**changes: object) -> Rows:
    job = JOB | changes
    return Rows(
        jobs={"job_1": job},
        items={("job_1", 0): "done", ("job_1", 1): "failed"},
        errors=Counter(),
        dispatches=1,
        attempts=0,
        books="",
        integrity="ok",
    )


def witness(status: str = "done", *items: str) -> Witness:
    seen = Witness(1)
    seen.asked.add("key")
    seen.acknowledged("key", "job_1", "usr_1")
    seen.saw(view(status, *(items or ("done", "failed"))))
    return seen


def view(status: str, *items: str) -> dict[str, object]:
    states = [{"idx": idx, "status": item} for idx, item in enumerate(items)]
    return {"job_id": "job_1", "status": status, "items": states, "refunded": 1}


def violated(found: Rows, told: Witness) -> set[str]:
    return {check.name for check in judge_rows(found, told) if check.violations}


def test_a_sound_end_holds() -> None:
    assert violated(rows(), witness()) == set()


def test_a_job_that_is_not_final_is_stuck() -> None:
    told = witness("running", "done", "pending")
    assert violated(rows(status="running"), told) == {"no job stuck"}


def test_two_jobs_of_one_key_are_seen() -> None:
    told = witness()
    told.acknowledged("key", "job_2", "usr_1")
    assert violated(rows(), told) == {"one job for each key", "acknowledged jobs exist"}


def test_a_final_state_that_changed_is_seen() -> None:
    assert violated(rows(status="canceled"), witness()) == {"final states as they were seen"}


@pytest.mark.parametrize(
    ("status", "items"),
    [("running", ("done", "failed")), ("failed", ("done", "failed")), ("done", ("done", "done"))],
)
def test_a_state_that_goes_back_is_seen(status: str, items: tuple[str, ...]) -> None:
    told = witness()
    told.saw(view(status, *items))
    assert "states only go forward" in violated(rows(), told)


def test_objects_that_are_missing_or_changed_are_seen(tmp_path: Path) -> None:
    with serve_store(tmp_path) as served:
        store = ObjectStore(served.endpoint, served.bucket, served.access_key, served.secret_key)
        picture = io.BytesIO()
        Image.new("RGB", SIZE).save(picture, "PNG")
        store.put("outputs/usr_1/job_1/0_result.png", picture.getvalue(), "image/png")
        told = witness()
        told.saw_result(told.jobs["job_1"], 0, hashlib.sha256(b"another").hexdigest())
        assert judge_objects(rows(), store).violations == ["previews/usr_1/job_1/0_thumb.jpg"]
        assert judge_results(rows(), told, store).violations == [
            "outputs/usr_1/job_1/0_result.png has changed"
        ]


@pytest.mark.parametrize(
    "line",
    [
        f"device {CANARY}-1-2",
        f"key {SECRET}",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.x",
        "GET /b/k?X-Amz-Signature=" + "0a" * 32,
        "webhook-signature: v1," + "A" * 43 + "=",
    ],
)
def test_a_secret_in_a_log_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "api.log").write_text(f"fine\n{line}\n")
    assert leaks(tmp_path, [SECRET]) == (2, ["api.log:2"])


def test_outsiders_cannot_sign_what_they_forge() -> None:
    forger = Forger(SECRET, random.Random(1))
    body = b'{"idx":0,"status":"done","attempt":1}'
    refused = set[str]()
    for _ in range(100):
        forgery = forger.forge("job_1", body)
        try:
            verify([SECRET], forgery.headers, forgery.body, now=time_of(forgery.headers))
        except InvalidSignature:
            refused.add(forgery.kind)
    assert refused == {"wrong secret", "changed body", "unsigned"}


def time_of(headers: dict[str, str]) -> float:
    return float(headers.get("webhook-timestamp", "0"))


def test_trouble_explains_what_follows_it_and_nothing_before() -> None:
    weather = Weather(Odds(), random.Random(1))
    assert not weather.explains(0.0)
    weather.begins("store")
    assert weather.explains(1e12)
    weather.ends("store")
    assert not weather.explains(1e12)
