"""Every mistake of docs/mistakes.md, made, and the one sentence that is then said."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from edge_api.__main__ import main as edge_api
from gpu_handler.handler import main as gpu_handler
from gpu_handler.imaging.png import encode_png
from infra.deploy.runpod import RunpodRest
from infra.doctor.command import main as doctor
from infra.doctor.complaints import read_complaints
from infra.doctor.patient import Patient
from shared.keys import input_key
from tests.gpu_handler.conftest import JOB, USER, make_photo
from tests.infra.doctor import clockwork
from tests.infra.doctor.clockwork import Clock
from tests.infra.doctor.mistakes_page import Row, all_rows, rows
from tests.infra.doctor.provoked import (
    CHECKSUMS,
    NOBODY,
    OTHER_SECRET,
    PLACES,
    SECRETS,
    WORKERS,
    Case,
)
from tests.infra.doctor.settings import (
    API,
    API_MISTAKES,
    DATABASE_MISTAKES,
    HANDLER,
    HANDLER_MISTAKES,
)
from tests.infra.doctor.ward import BUCKET, Ward, api, sentences
from tests.infra.doctor.workers_log import WorkerSettings, lines_of

Out = pytest.CaptureFixture[str]
START = ("The API does not start", "The handler does not start")
CLOCKS = {
    f"{whose} clock ten minutes {way}"
    for whose in ("the API's", "this machine's")
    for way in ("ahead", "behind")
}
FOUND = {
    "Secrets and keys": SECRETS,
    "Places": PLACES,
    "Clocks and checksums": CHECKSUMS,
    "Workers": WORKERS,
}


def unset(section: str) -> Row:
    return next(row for key, row in rows(section).items() if key.startswith("not set: "))


def start(
    main: Callable[..., int], environ: dict[str, str], patch: pytest.MonkeyPatch, *arguments: str
) -> int:
    for name, value in environ.items():
        patch.setenv(name, value)
    return main([*arguments]) if arguments else main()


@pytest.mark.parametrize("name", unset(START[0]).names)
def test_a_setting_that_the_api_lacks(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    assert start(edge_api, API | {name: ""}, monkeypatch, "serve") == 2
    unset(START[0]).says(capsys.readouterr().err.splitlines(), name)


@pytest.mark.parametrize("mistake", API_MISTAKES)
def test_a_setting_that_does_not_fit_the_api(
    mistake: str, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    assert start(edge_api, API | API_MISTAKES[mistake], monkeypatch, "serve") == 2
    rows(START[0])[mistake].says(capsys.readouterr().err.splitlines())


@pytest.mark.parametrize("mistake", DATABASE_MISTAKES)
def test_a_database_that_does_not_open(mistake: str) -> None:
    # In a process of its own: the log is set up before the database is opened.
    environ = API | DATABASE_MISTAKES[mistake] | {"LOG_LEVEL": "ERROR"}
    ended = subprocess.run(
        [sys.executable, "-m", "edge_api", "serve"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(clockwork.ROOT)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    rows(START[0])[mistake].says(ended.stderr.splitlines())
    assert "canary" not in ended.stderr


@pytest.mark.parametrize("name", unset(START[1]).names)
def test_a_setting_that_the_handler_lacks(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    assert start(gpu_handler, HANDLER | {name: ""}, monkeypatch) == 1
    unset(START[1]).says(capsys.readouterr().err.splitlines(), name)


@pytest.mark.parametrize("mistake", HANDLER_MISTAKES)
def test_a_setting_that_does_not_fit_the_handler(
    mistake: str, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    assert start(gpu_handler, HANDLER | HANDLER_MISTAKES[mistake], monkeypatch) == 1
    rows(START[1])[mistake].says(capsys.readouterr().err.splitlines())


DEPLOY: dict[str, Callable[[Ward], object]] = {
    "no file": lambda well: well.both.file.unlink(),
    "a wrong `RUNPOD_API_KEY`": lambda well: well.shell(RUNPOD_API_KEY="nobody"),
    "a `RUNPOD_API_KEY` that only runs jobs": lambda well: setattr(
        well.both.runpod, "forbidden", True
    ),
    "a wrong `R2_ACCESS_KEY_ID`": lambda well: well.shell(R2_ACCESS_KEY_ID="nobody"),
    "a wrong `R2_SECRET_ACCESS_KEY`": lambda well: well.shell(R2_SECRET_ACCESS_KEY="nothing"),
    "a wrong `R2_ACCOUNT_ID` or `R2_ENDPOINT_URL`": lambda well: well.shell(R2_ENDPOINT_URL=NOBODY),
    "an R2 token for objects alone": lambda well: setattr(well.both.r2, "denied", True),
    "this machine's clock 20 minutes ahead": lambda well: well.both.r2.shift(-20),
    "this machine's clock 20 minutes behind": lambda well: well.both.r2.shift(20),
}


@pytest.mark.parametrize("name", unset("`deploy` stops").names)
def test_a_setting_that_deploy_lacks(well: Ward, name: str, capsys: Out) -> None:
    well.shell(**without(name))
    assert well.both.deploy("plan") == 2
    unset("`deploy` stops").says(capsys.readouterr().err.splitlines(), name)


@pytest.mark.parametrize("mistake", DEPLOY)
def test_deploy_stops(well: Ward, mistake: str, capsys: Out) -> None:
    before = well.both.writes
    DEPLOY[mistake](well)
    assert well.both.deploy("apply") == 1
    rows("`deploy` stops")[mistake].says(capsys.readouterr().err.splitlines())
    assert well.both.writes == before


@pytest.mark.parametrize("name", unset("Secrets and keys").names)
def test_a_setting_that_doctor_lacks(well: Ward, name: str, capsys: Out) -> None:
    assert doctor(["--no-photo"], well.environ | without(name)) == 2
    unset("Secrets and keys").says(capsys.readouterr().err.splitlines(), name)


def without(name: str) -> dict[str, str]:
    # The emulator's address stands in for the account's id.
    return {"R2_ENDPOINT_URL" if name == "R2_ACCOUNT_ID" else name: ""}


@pytest.mark.parametrize(
    ("section", "mistake"), [(section, one) for section, made in FOUND.items() for one in made]
)
def test_doctor_finds_it(
    well: Ward, environ: dict[str, str], tmp_path: Path, section: str, mistake: str
) -> None:
    said = FOUND[section][mistake](Case(well, environ, tmp_path))
    rows(section)[mistake].says(well.troubles() if said is None else said)


def test_a_store_that_refuses_boto3s_checksums_is_no_mistake(well: Ward) -> None:
    assert well.both.r2.refused_headers == ("x-amz-checksum-",)
    assert well.troubles() == []
    store = well.store()
    store.put("inputs/u/j/0.jpg", b"x", "image/jpeg")
    store.delete(["inputs/u/j/0.jpg"])
    assert store.list("inputs/") == []


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return clockwork.make_clock(tmp_path_factory.mktemp("clock"))


def test_this_machines_clock(well: Ward, clock: Clock) -> None:
    ahead, behind = clockwork.doctors(clock, well.environ, 10, -10)
    for way, lines in {"ahead": ahead, "behind": behind}.items():
        told = [line.split(maxsplit=2)[2] for line in lines if line.startswith("trouble ")]
        rows("Clocks and checksums")[f"this machine's clock ten minutes {way}"].says(told)


@pytest.fixture(scope="module")
def late_api(
    clock: Clock, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    """An API in a process of its own, whose clock a test sets."""
    own = {"DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('late') / 'edge.db'}"}
    with clockwork.api_of(clock, environ | own) as url:
        yield url


@pytest.mark.parametrize("minutes", [10, -10])
def test_the_apis_clock(well: Ward, clock: Clock, late_api: str, minutes: int) -> None:
    clock.set(minutes)
    clockwork.until_told(late_api, minutes)
    way = "ahead" if minutes > 0 else "behind"
    row = rows("Clocks and checksums")[f"the API's clock ten minutes {way}"]
    row.says(well.troubles(PUBLIC_URL=late_api))


def worker(well: Ward, **changes: Any) -> WorkerSettings:
    """One that is told all that it needs, with changes."""
    return msgspec.structs.replace(
        WorkerSettings(
            endpoint=well.environ["R2_ENDPOINT_URL"],
            bucket=BUCKET,
            access_key=well.environ["R2_ACCESS_KEY_ID"],
            secret_key=well.environ["R2_SECRET_ACCESS_KEY"],
            callback_secret=well.environ["GPU_CALLBACK_SECRET"],
            url=well.environ["PUBLIC_URL"],
        ),
        **changes,
    )


PHOTO: dict[str, dict[str, Any]] = {
    "another `GPU_CALLBACK_SECRET` in the worker, where it is a secret of Runpod's": {
        "callback_secret": OTHER_SECRET
    },
    "a `PUBLIC_URL` that the worker cannot reach": {"url": NOBODY},
    "a host that `CALLBACK_ALLOWED_HOSTS` in the worker lacks": {
        "hosts": frozenset({"api.example.com"})
    },
    "a wrong `STORAGE_ACCESS_KEY` in the worker, where it is a secret of Runpod's": {
        "access_key": "nobody"
    },
    "a wrong `STORAGE_BUCKET` in the worker": {"bucket": "s3-photos"},
}
LATE = {
    "the worker's clock ten minutes ahead of the API's": -10,
    "the worker's clock ten minutes behind the API's": 10,
}


@pytest.mark.parametrize("mistake", PHOTO)
def test_what_a_worker_writes_about_the_photo(well: Ward, mistake: str) -> None:
    said = complaints(well, lines_of(worker(well, **PHOTO[mistake])))
    rows("With a photo")[mistake].says(said)


@pytest.mark.parametrize("mistake", LATE)
def test_a_workers_clock(well: Ward, clock: Clock, late_api: str, mistake: str) -> None:
    clock.set(LATE[mistake])
    rows("With a photo")[mistake].says(complaints(well, lines_of(worker(well, url=late_api))))


def complaints(well: Ward, lines: list[str]) -> list[str]:
    """What a doctor makes of them, who gets them from Runpod."""
    assert lines, "the worker wrote nothing"
    well.add_worker("IDLE", *lines)
    patient = Patient.from_env(well.environ)
    with RunpodRest(patient.rest_url, patient.runpod_key) as runpod:
        workers = runpod.workers(patient.endpoint_id)
        return sentences(read_complaints(runpod, patient.endpoint_id, workers, "job-1", patient))


def test_a_worker_that_is_well_is_complained_of_by_nobody(well: Ward) -> None:
    well.store().put(input_key(USER, JOB, 0), encode_png(make_photo()), "image/png")
    lines = lines_of(worker(well))
    # The API has no such job, which is its right: 404 is the only thing to say.
    (complaint,) = complaints(well, lines)
    assert complaint.endswith("is answered with 404.")


def test_a_jwt_secret_that_was_changed(environ: dict[str, str]) -> None:
    with TestClient(api(environ)) as before:
        token = before.post("/auth/anon").json()["data"]["token"]
    with TestClient(api(environ | {"JWT_SECRET": OTHER_SECRET})) as after:
        answer = after.get("/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    rows("What phones are told")["`JWT_SECRET` was changed"].says(
        [answer.json()["error"]["message"]]
    )


def test_the_page_and_the_tests_have_the_same_mistakes() -> None:
    made = {
        START[0]: {*API_MISTAKES, *DATABASE_MISTAKES},
        START[1]: {*HANDLER_MISTAKES},
        "`deploy` stops": {*DEPLOY},
        **{section: {*mistakes} for section, mistakes in FOUND.items()},
        "With a photo": {*PHOTO, *LATE},
        "What phones are told": {"`JWT_SECRET` was changed"},
    }
    made["Clocks and checksums"] |= CLOCKS
    told = [row for row in all_rows() if not row.mistake.startswith("not set: ")]
    assert {section: {r.mistake for r in told if r.section == section} for section in made} == made
    assert {row.section for row in all_rows()} == made.keys()


def test_every_setting_that_is_needed_is_on_the_page() -> None:
    assert set(unset(START[0]).names) == API.keys()
    assert set(unset(START[1]).names) == HANDLER.keys()
    assert all(row.remedy for row in all_rows())
