"""The function that the SDK calls: JSON in, JSON out, no traceback."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpu_handler.answering import make_handler
from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.fetch import Fetcher
from gpu_handler.imaging.png import encode_png
from gpu_handler.segment.base import Pixels
from shared.messages import JobSummary
from tests.gpu_handler.conftest import Lab, make_photo, until
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
        ({"job_id": "job-1", "schema_version": 3}, "UNSUPPORTED_SCHEMA: this worker reads"),
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


def call_side_by_side(lab: Lab, *inputs: object) -> tuple[list[dict[str, Any]], list[str]]:
    """All the answers, and what was called for a refresh."""
    refreshed: list[str] = []

    async def go() -> list[dict[str, Any]]:
        async with lab.worker(2) as worker:
            handler = make_handler(worker, Fetcher(), lambda: refreshed.append("asked"))
            jobs = [handler({"id": f"runpod-{n}", "input": one}) for n, one in enumerate(inputs)]
            return await asyncio.gather(*jobs)

    return asyncio.run(go()), refreshed


def lose_device(_: Sequence[Pixels]) -> None:
    raise DeviceLost("canary")


def test_lost_device_makes_every_answer_ask_for_a_fresh_worker(lab: Lab) -> None:
    lab.engine.failing = lose_device
    jobs = [lab.job(4, job=f"job-{n}") for n in range(2)]

    told, refreshed = call_side_by_side(lab, *(msgspec.to_builtins(job) for job in jobs))

    assert [answer.pop("refresh_worker") for answer in told] == [True, True]
    for answer in told:
        summary = msgspec.convert(answer, JobSummary)
        assert [item.status for item in summary.items] == ["failed"] * 4
        assert {item.error and item.error.code for item in summary.items} == {"DEVICE_LOST"}
    assert refreshed == ["asked", "asked"]


def test_answer_that_asks_for_a_fresh_worker_waits_for_the_other_job(lab: Lab) -> None:
    """The other has a photo seen already, which is painted and stored all the same."""
    lab.upload(1, "job-0")
    lab.upload(1, "job-1")
    order: list[str] = []
    lab.engine.failing = lambda _: lose_device(_) if lab.engine.calls == 2 else None
    storing = threading.Event()

    def slow_to_store(key: str) -> None:
        if "job-0" in key:
            storing.wait(5)

    async def go() -> None:
        async with lab.worker(2) as worker:
            handler = make_handler(worker, Fetcher())

            async def run(job: str) -> None:
                message = msgspec.to_builtins(lab.message(1, job=job))
                told = await handler({"id": job, "input": message})
                order.append(f"{job} {told['items'][0]['status']} {told['refresh_worker']}")

            lab.store.before_put = slow_to_store
            first = asyncio.create_task(run("job-0"))
            await until(lambda: lab.engine.calls == 1)
            second = asyncio.create_task(run("job-1"))
            await until(lambda: worker.device.lost and len(lab.api.results) == 1)
            await asyncio.sleep(0.1)
            assert order == [], "its worker may be gone as soon as it answers"
            storing.set()
            await asyncio.gather(first, second)

    asyncio.run(go())

    assert sorted(order) == ["job-0 done True", "job-1 failed True"]


def test_console_is_told_of_a_lost_device_and_the_worker_replaced(lab: Lab) -> None:
    lab.engine.failing = lose_device
    photo = base64.b64encode(encode_png(make_photo())).decode()
    request = {"image_base64": photo, "concepts": {"Wall": {"action": "recolor", "value": "navy"}}}

    (told,), refreshed = call_side_by_side(lab, request)

    assert told["error"].startswith("DEVICE_LOST: ")
    assert "canary" not in told["error"]
    assert told["refresh_worker"] is True
    assert refreshed == ["asked"]


def test_full_device_is_no_reason_for_a_fresh_worker(lab: Lab) -> None:
    lab.engine.failure = DeviceExhausted("canary")

    (told,), refreshed = call_side_by_side(lab, msgspec.to_builtins(lab.job(2)))

    assert {item["error"]["code"] for item in told["items"]} == {"DEVICE_EXHAUSTED"}
    assert "refresh_worker" not in told
    assert refreshed == []


def test_sdk_takes_the_wish_out_of_the_answer_and_posts_it_beside(lab: Lab) -> None:
    """What the unmodified SDK makes of the answer before it posts it."""
    rp_job = import_module("runpod.serverless.modules.rp_job")
    lab.engine.failing = lose_device
    message = msgspec.to_builtins(lab.job(2))

    async def go() -> dict[str, Any]:
        async with lab.worker() as worker:
            job = {"id": "runpod-1", "input": message}
            return await rp_job.run_job(make_handler(worker, Fetcher()), job)

    posted = asyncio.run(go())

    assert posted["stopPod"] is True
    assert "error" not in posted
    assert "refresh_worker" not in posted["output"]
    assert len(msgspec.convert(posted["output"], JobSummary).items) == 2


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


def test_weights_that_are_not_there_stop_the_process_with_one_line(tmp_path: Path) -> None:
    environ = {**GIVEN, "SEGMENTER": "sam3", "SAM3_MODEL": str(tmp_path)}

    ended = start("-u", "-m", "gpu_handler.handler", **environ)

    assert ended.returncode == 1
    assert ended.stderr.startswith("SAM3_MODEL: ")
    assert str(tmp_path) in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stdout


def test_sdk_is_not_imported_before_the_worker_starts() -> None:
    told = start(
        "-c",
        "import sys, gpu_handler.handler; print('runpod' in sys.modules, 'torch' in sys.modules)",
    )

    assert told.stdout == "False False\n", told.stderr
