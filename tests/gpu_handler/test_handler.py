"""The function that the SDK calls: JSON in, JSON out, no traceback."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from gpu_handler.fetch import Fetcher
from gpu_handler.handler import load_engine, make_handler
from gpu_handler.imaging.png import encode_png
from gpu_handler.settings import SegmenterChoice, Settings
from shared.messages import JobSummary
from tests.gpu_handler.conftest import Lab, make_photo
from tests.gpu_handler.test_settings import GIVEN


def call(lab: Lab, input_: object) -> dict[str, Any]:
    """The handler's answer as Runpod stores it."""

    async def go() -> dict[str, Any]:
        async with lab.worker() as worker:
            return await make_handler(worker, Fetcher())({"id": "runpod-1", "input": input_})

    return json.loads(json.dumps(asyncio.run(go())))


def test_job_comes_back_as_its_summary(lab: Lab) -> None:
    message = lab.job(3)

    told = call(lab, msgspec.to_builtins(message))

    summary = msgspec.convert(told, JobSummary)
    assert [item.status for item in summary.items] == ["done"] * 3
    assert {item.runpod_job_id for item in summary.items} == {"runpod-1"}
    assert "error" not in told
    assert "refresh_worker" not in told


def test_failed_photo_does_not_fail_the_request(lab: Lab) -> None:
    message = lab.message(1)

    told = call(lab, msgspec.to_builtins(message))

    assert told["items"][0]["error"]["code"] == "INPUT_MISSING"
    assert "error" not in told


def test_console_request_is_answered_inline(lab: Lab) -> None:
    photo = base64.b64encode(encode_png(make_photo())).decode()
    concepts = {"Wall": {"action": "recolor", "value": "navy"}}

    told = call(lab, {"image_base64": photo, "concepts": concepts})

    assert told["engine"] == "half"
    assert base64.b64decode(told["result_base64"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("input_", "error"),
    [
        (None, "INVALID_INPUT: field input: must be an object"),
        ({"job_id": "job-1", "schema_version": 2}, "UNSUPPORTED_SCHEMA: this worker reads"),
        ({"job_id": "job-1", "schema_version": 1}, "INVALID_INPUT: field dispatch_id: is missing"),
        ({"image_base64": "AAAA", "concepts": {}}, "INVALID_INPUT: field concepts: "),
    ],
)
def test_refusal_is_an_error_with_code_and_field(lab: Lab, input_: object, error: str) -> None:
    told = call(lab, input_)

    assert list(told) == ["error"]
    assert told["error"].startswith(error)


def test_job_that_fits_no_photo_is_refused_with_its_field(lab: Lab) -> None:
    message = msgspec.structs.replace(lab.job(1), preset="garden")

    told = call(lab, msgspec.to_builtins(message))

    assert told == {"error": "INVALID_INPUT: field preset: 'garden' is not a preset"}


def test_unforeseen_error_shows_no_traceback(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.engine.failure = RuntimeError("canary")
    photo = base64.b64encode(encode_png(make_photo())).decode()
    concepts = {"Wall": {"action": "recolor", "value": "navy"}}

    told = call(lab, {"image_base64": photo, "concepts": concepts})

    assert told == {"error": "INTERNAL_ERROR: the worker could not finish this request"}
    assert "canary" in caplog.text


@pytest.mark.parametrize("choice", [SegmenterChoice.CLASSICAL, SegmenterChoice.AUTO])
def test_engine_chosen_for_a_person_is_named_in_the_log(
    choice: SegmenterChoice, caplog: pytest.LogCaptureFixture
) -> None:
    settings = msgspec.structs.replace(Settings.from_env(GIVEN), segmenter=choice)

    assert load_engine(settings).name == "classical"
    assert ("classical is used" in caplog.text) == (choice is SegmenterChoice.AUTO)


def start(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_setting_stops_the_process_with_one_line() -> None:
    ended = start("-u", "-m", "gpu_handler.handler", STORAGE_BUCKET="s3-images")

    assert ended.returncode == 1
    assert ended.stderr == "STORAGE_S3_ENDPOINT: is not set\n"
    assert ended.stdout == ""


def test_sdk_is_not_imported_before_the_worker_starts() -> None:
    told = start(
        "-c",
        "import sys, gpu_handler.handler; print('runpod' in sys.modules, 'torch' in sys.modules)",
    )

    assert told.stdout == "False False\n", told.stderr
