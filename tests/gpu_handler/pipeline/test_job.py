"""Whole jobs: results stored before they are reported, failures alone, summaries complete."""

import asyncio
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.imaging.png import encode_png
from gpu_handler.pipeline.job import JobRun
from gpu_handler.pipeline.plan import PlanRefused
from gpu_handler.segment.base import Pixels
from shared.actions import Action, ConceptRule
from shared.keys import input_key, instances_key, mask_key, output_key, preview_key
from shared.messages import ItemStatus, JobMessage, JobSummary
from shared.objects import StorageUnavailable
from tests.gpu_handler.conftest import JOB, USER, Lab, make_photo, until


def run(lab: Lab, message: JobMessage, batch_concurrency: int = 4) -> JobSummary:
    async def go() -> JobSummary:
        async with lab.worker(batch_concurrency) as worker:
            return await JobRun(worker, message, "runpod-1").run()

    return asyncio.run(go())


def test_every_photo_is_stored_then_reported_then_summed_up(lab: Lab) -> None:
    stored_when_told: list[bool] = []
    lab.api.on_call = lambda result: stored_when_told.append(
        result.output_key in lab.store.objects and result.preview_key in lab.store.objects
    )
    message = lab.job(6)

    summary = run(lab, message)

    assert [item.idx for item in summary.items] == list(range(6))
    assert {item.status for item in summary.items} == {ItemStatus.DONE}
    assert summary.stopped is None
    assert summary.engine == "half"
    assert stored_when_told == [True] * 6
    assert sorted(lab.api.results, key=lambda r: r.idx) == summary.items


def test_item_leaves_result_preview_masks_and_findings(lab: Lab) -> None:
    lab.upload(1)
    message = lab.message(1, protect=["Grout"])

    item = run(lab, message).items[0]

    keys = {
        output_key(USER, JOB, 0): "image/png",
        preview_key(USER, JOB, 0): "image/jpeg",
        mask_key(USER, JOB, 0, "Wall"): "image/png",
        mask_key(USER, JOB, 0, "Grout"): "image/png",
        instances_key(USER, JOB, 0): "application/json",
    }
    assert lab.store.types == keys
    assert (item.output_key, item.preview_key) == (
        output_key(USER, JOB, 0),
        preview_key(USER, JOB, 0),
    )
    assert item.idempotency_key == f"{JOB}:0:attempt1"
    assert (item.dispatch_id, item.attempt, item.runpod_job_id) == ("dispatch-1", 1, "runpod-1")
    assert item.report is not None
    assert item.report.instances == {"Wall": 1, "Grout": 1}
    assert item.report.masks == ["Wall", "Grout"]
    assert (item.report.width, item.report.height) == (64, 48)
    assert item.report.protected_pixels == 32 * 48
    assert item.report.protected_pixels_changed == 0
    assert item.timings is not None
    assert list(item.timings) == [
        "queue_wait", "download", "decode", "prepare", "device_wait", "segment", "apply", "encode",
        "upload", "total",
    ]  # fmt: skip
    told = sum(seconds for stage, seconds in item.timings.items() if stage != "total")
    assert told == pytest.approx(item.timings["total"], abs=0.1)


def test_paint_stays_inside_its_mask_and_outside_protection(lab: Lab) -> None:
    lab.engine.sees["Light"] = "left"
    lab.upload(1)
    concepts = {"Wall": ConceptRule(Action.RECOLOR, "#1F3A5F")}

    run(lab, lab.message(1, concepts=concepts, protect=["Grout"]))

    before, after = lab.photo(0), lab.stored_image(output_key(USER, JOB, 0))
    mask = lab.stored_image(mask_key(USER, JOB, 0, "Wall"))
    changed = (before != after).any(2)
    assert changed[:, :30].mean() > 0.99
    assert not changed[:, 34:].any()
    assert not changed[mask == 0].any()


def test_protected_part_of_a_ruled_concept_is_in_neither_mask_nor_paint(lab: Lab) -> None:
    lab.engine.sees |= {"Wall": "left", "Door": "left"}
    lab.upload(1)

    item = run(lab, lab.message(1, protect=["Door"])).items[0]

    assert not lab.stored_image(mask_key(USER, JOB, 0, "Wall")).any()
    assert np.array_equal(lab.stored_image(output_key(USER, JOB, 0)), lab.photo(0))
    assert item.report is not None
    assert item.report.protected_pixels == 32 * 48


def test_concept_both_ruled_and_protected_is_protected(lab: Lab) -> None:
    lab.upload(1)

    run(lab, lab.message(1, protect=["Wall"]))

    assert np.array_equal(lab.stored_image(output_key(USER, JOB, 0)), lab.photo(0))
    assert (lab.stored_image(mask_key(USER, JOB, 0, "Wall"))[:, :30] == 255).all()


def test_findings_tell_what_was_found_where_and_what_was_kept(lab: Lab) -> None:
    lab.upload(1)

    run(lab, lab.message(1, protect=["Grout", "Window"]))

    findings = json.loads(lab.store.objects[instances_key(USER, JOB, 0)])
    assert (findings["engine"], findings["width"], findings["height"]) == ("half", 64, 48)
    wall = findings["concepts"]["Wall"]
    assert wall["presence"] == 0.9
    assert wall["rule"] == {"action": "recolor", "value": "#7FA8C9"}
    assert wall["instances"] == [
        {"number": 1, "score": 0.8, "box": [0, 0, 32, 48], "area": 32 * 48}
    ]
    assert findings["concepts"]["Window"]["instances"] == []
    assert findings["protect"] == {
        "concepts": ["Grout"],
        "missing": ["Window"],
        "protected_pixels": 32 * 48,
        "protected_pixels_changed": 0,
        "max_abs_diff_in_protect": 0,
    }
    assert [(w["code"], w["concept"]) for w in findings["warnings"]] == [
        ("PROTECT_NOT_FOUND", "Window")
    ]


def test_photo_where_nothing_is_found_comes_back_unchanged_with_warnings(lab: Lab) -> None:
    lab.engine.sees = {}
    lab.upload(1)

    item = run(lab, lab.message(1, protect=["Grout"])).items[0]

    assert item.status is ItemStatus.DONE
    assert np.array_equal(lab.stored_image(output_key(USER, JOB, 0)), lab.photo(0))
    assert item.report is not None
    assert item.report.masks == []
    assert [(w.code, w.concept) for w in item.warnings] == [
        ("CONCEPT_NOT_FOUND", "Wall"),
        ("PROTECT_NOT_FOUND", "Grout"),
    ]
    assert all(w.concept in w.message for w in item.warnings if w.concept)


def test_text_file_among_photos_fails_alone(lab: Lab) -> None:
    message = lab.job(3)
    lab.store.objects[input_key(USER, JOB, 1)] = b"Dear diary, this is not a photo.\n" * 40

    summary = run(lab, message)

    assert [item.status for item in summary.items] == ["done", "failed", "done"]
    error = summary.items[1].error
    assert error is not None
    assert (error.code, error.retryable) == ("UNSUPPORTED_IMAGE", False)
    assert error.message.endswith(".")
    assert output_key(USER, JOB, 1) not in lab.store.objects
    assert {r.idx: r.status for r in lab.api.results} == {0: "done", 1: "failed", 2: "done"}


def test_missing_input_is_named_as_such(lab: Lab) -> None:
    message = lab.job(2)
    del lab.store.objects[input_key(USER, JOB, 0)]

    first, second = run(lab, message).items

    assert first.error is not None
    assert (first.error.code, first.error.retryable) == ("INPUT_MISSING", False)
    assert second.status is ItemStatus.DONE


@pytest.mark.parametrize("key", [input_key(USER, JOB, 1), output_key(USER, JOB, 1)])
def test_storage_that_is_down_is_worth_another_try(lab: Lab, key: str) -> None:
    message = lab.job(3)
    lab.store.failing[key] = StorageUnavailable("get: secret detail", retryable=True)

    summary = run(lab, message)

    error = summary.items[1].error
    assert error is not None
    assert (error.code, error.retryable) == ("STORAGE_UNAVAILABLE", True)
    assert "secret" not in error.message
    assert [item.status for item in summary.items] == ["done", "failed", "done"]


def test_unforeseen_error_is_logged_whole_and_told_in_a_sentence(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.engine.failure = RuntimeError("cublas said /home/someone/weights")

    item = run(lab, lab.job(1)).items[0]

    assert item.error is not None
    assert (item.error.code, item.error.retryable) == ("INTERNAL_ERROR", True)
    assert "cublas" not in msgspec.json.encode(item).decode()
    assert "cublas said" in caplog.text


def test_photo_without_room_on_the_device_fails_alone_and_may_be_tried_again(lab: Lab) -> None:
    lab.engine.photos_at_once = 3
    lab.upload(3)
    large = make_photo(1, 640, 480)
    lab.store.objects[input_key(USER, JOB, 1)] = encode_png(large)

    def no_room(photos: Sequence[Pixels]) -> None:
        if any(photo.shape[1] == 160 for photo in photos):
            raise DeviceExhausted("CUDA out of memory: canary")

    lab.engine.failing = no_room

    summary = run(lab, lab.message(3))

    assert [item.status for item in summary.items] == ["done", "failed", "done"]
    error = summary.items[1].error
    assert error is not None
    assert (error.code, error.retryable) == ("DEVICE_EXHAUSTED", True)
    assert error.message.endswith(".")
    assert "canary" not in error.message
    assert summary.items[1].timings is not None
    assert "device_wait" in summary.items[1].timings


def test_without_its_device_a_job_reports_every_photo_and_begins_none(lab: Lab) -> None:
    lab.engine.failing = lost_from(lab, call=3)

    summary = run(lab, lab.job(12), batch_concurrency=1)

    assert [item.status for item in summary.items] == ["done"] * 2 + ["failed"] * 10
    errors = [item.error for item in summary.items[2:]]
    assert {(e.code, e.retryable) for e in errors if e} == {("DEVICE_LOST", True)}
    assert all(e is not None and "canary" not in e.message for e in errors)
    assert summary.stopped is None, "nothing is missing"
    assert len(lab.api.results) == 12
    assert lab.engine.calls == 3
    assert sum(verb == "get" for verb, _ in lab.store.journal) == 3


def test_lost_device_ends_all_jobs_at_once_and_those_that_come(lab: Lab) -> None:
    lab.engine.photos_at_once = 2
    lab.engine.failing = lost_from(lab, call=3)
    jobs = [lab.job(20, job=f"job-{n}") for n in range(3)]

    async def go() -> list[JobSummary]:
        async with lab.worker(2) as worker:
            both = [asyncio.create_task(JobRun(worker, m, "runpod-1").run()) for m in jobs[:2]]
            first = await asyncio.gather(*both)
            return [*first, await JobRun(worker, jobs[2], "runpod-2").run()]

    summaries = asyncio.run(go())

    assert [len(summary.items) for summary in summaries] == [20, 20, 20]
    for item in (item for summary in summaries for item in summary.items):
        assert item.status == "done" or (item.error and item.error.code == "DEVICE_LOST")
    assert sum(item.status == "done" for summary in summaries for item in summary.items) <= 4
    assert {item.status for item in summaries[2].items} == {ItemStatus.FAILED}
    assert not any("job-2" in key for verb, key in lab.store.journal if verb == "get")
    assert lab.engine.calls == 3


def lost_from(lab: Lab, call: int) -> Callable[[Sequence[Pixels]], None]:
    def fail(_: Sequence[Pixels]) -> None:
        if lab.engine.calls >= call:
            raise DeviceLost("CUDA error: canary")

    return fail


def test_engine_that_takes_several_photos_gets_them_filled(lab: Lab) -> None:
    lab.engine.photos_at_once = 8
    lab.engine.seconds = 0.3

    summary = run(lab, lab.job(40))

    assert {item.status for item in summary.items} == {ItemStatus.DONE}
    assert max(lab.engine.batches) == 8, lab.engine.batches
    assert lab.engine.calls <= 8, lab.engine.batches


def test_however_many_photos_wait_few_are_painted_at_once(lab: Lab) -> None:
    lab.engine.photos_at_once = 8
    lab.engine.seconds = 0.1
    message = lab.job(30)
    decoded: list[int] = []
    painted: list[int] = []

    async def go() -> JobSummary:
        async with lab.worker(2) as worker:
            job = asyncio.create_task(JobRun(worker, message, "runpod-1").run())
            while not job.done():
                decoded.append(18 - places(worker.darkroom))
                painted.append(2 - places(worker.easels))
                await asyncio.sleep(0.001)
            return await job

    summary = asyncio.run(go())

    assert {item.status for item in summary.items} == {ItemStatus.DONE}
    assert 8 < max(decoded) <= 18
    assert 0 < max(painted) <= 2


@pytest.mark.parametrize(("batch", "most"), [(1, 8), (4, 20)])
def test_small_job_is_not_kept_waiting_by_a_large_one(lab: Lab, batch: int, most: int) -> None:
    lab.engine.photos_at_once = batch
    lab.engine.seconds = 0.03
    large, small = lab.job(60, job="large"), lab.job(2, job="small")

    async def go() -> int:
        async with lab.worker(2) as worker:
            first = asyncio.create_task(JobRun(worker, large, "runpod-1").run())
            await until(lambda: lab.engine.calls >= 3)
            before = stored(lab, "large")
            await JobRun(worker, small, "runpod-2").run()
            meanwhile = stored(lab, "large") - before
            await first
            return meanwhile

    assert asyncio.run(go()) <= most, "what was in flight already may be done before"


def stored(lab: Lab, job: str) -> int:
    return sum(key.startswith(f"outputs/{USER}/{job}/") for key in lab.store.objects)


def places(room: asyncio.Semaphore) -> int:
    """How many are free."""
    return room._value  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("input_key", input_key("someone-else", JOB, 0)),
        ("input_key", input_key(USER, "job-2", 0)),
        ("input_key", input_key(USER, JOB, 1)),
        ("input_key", output_key(USER, JOB, 0)),
        ("input_key", f"inputs/{USER}/{JOB}/../0.jpg"),
        ("output_key", output_key("someone-else", JOB, 0)),
        ("output_key", input_key(USER, JOB, 0)),
        ("output_key", "outputs/anything"),
        ("preview_key", preview_key(USER, "job-2", 0)),
    ],
)
def test_keys_of_another_item_are_refused_and_never_touched(lab: Lab, field: str, key: str) -> None:
    message = lab.job(2)
    bad = msgspec.structs.replace(message.items[0], **{field: key})
    message = msgspec.structs.replace(message, items=[bad, message.items[1]])

    first, second = run(lab, message).items

    assert first.error is not None
    assert (first.error.code, first.error.retryable) == ("INVALID_KEY", False)
    assert second.status is ItemStatus.DONE
    assert not any("/1" not in touched for _, touched in lab.store.journal)


def test_results_do_not_depend_on_the_order_of_photos(lab: Lab) -> None:
    message = lab.job(8)
    expected = {i.idx: (i.report, i.warnings) for i in run(lab, message).items}
    objects = dict(lab.store.objects)
    shuffled = list(message.items)
    random.Random(7).shuffle(shuffled)
    other = Lab()
    other.upload(8)

    summary = run(other, msgspec.structs.replace(message, items=shuffled), batch_concurrency=3)

    assert [i.idx for i in summary.items] == [i.idx for i in shuffled]
    assert {i.idx: (i.report, i.warnings) for i in summary.items} == expected
    assert other.store.objects == objects


@pytest.mark.parametrize(
    ("asked", "allowed", "batch", "expected"),
    [(1, 4, 1, 1), (4, 2, 1, 2), (0, 4, 1, 1), (1, 4, 8, 1), (4, 2, 2, 6)],
)
def test_no_more_photos_in_flight_than_both_sides_allow(
    lab: Lab, asked: int, allowed: int, batch: int, expected: int
) -> None:
    lab.engine.photos_at_once = batch
    lab.upload(8)
    waiting = threading.Semaphore(0)
    at_once: list[int] = []

    def note_how_many_are_open(_: str) -> None:
        journal = list(lab.store.journal)
        opened = sum(verb == "get" for verb, _ in journal)
        stored = sum(
            key.endswith("_result.png") for verb, key in lab.store.journal if verb == "put"
        )
        at_once.append(opened - stored)
        waiting.acquire(timeout=0.02)  # gives others the chance to be begun as well

    lab.store.before_get = note_how_many_are_open

    run(lab, lab.message(8, batch_concurrency=asked), batch_concurrency=allowed)

    assert max(at_once) == expected


def test_summary_is_json_and_small(lab: Lab) -> None:
    summary = run(lab, lab.job(20))

    told = json.dumps(msgspec.to_builtins(summary))

    assert json.loads(told)["job_id"] == JOB
    assert len(told) < 20 * 900


def test_summary_adds_up_where_the_time_went(lab: Lab) -> None:
    summary = run(lab, lab.job(4))

    for stage in ("download", "decode", "segment", "apply", "encode", "upload", "queue_wait"):
        items = [item.timings[stage] for item in summary.items if item.timings]
        assert summary.timings[stage] == pytest.approx(sum(items), abs=0.002)
    assert "total" not in summary.timings


def test_device_that_is_always_busy_is_hardly_idle_and_a_quick_one_is(lab: Lab) -> None:
    run(lab, lab.job(1))  # whatever is compiled or loaded at first
    lab.engine.seconds = 0.2
    busy = run(lab, lab.job(6))
    assert busy.device_idle < 0.4
    assert busy.seconds * (1 - busy.device_idle) == pytest.approx(6 * 0.2, rel=0.15)

    lab.engine.seconds = 0.0
    lab.store.before_get = lambda key: time.sleep(0.2)
    assert run(lab, lab.job(2)).device_idle > 0.6


def test_photos_in_all_stages_at_once_take_hardly_longer_than_the_slowest_stage(lab: Lab) -> None:
    """Twelve photos, 0.1 s on the device and 0.1 s for each download and upload: one after the
    other that is 4.8 s, the device alone 1.2."""
    run(lab, lab.job(1))
    lab.engine.seconds = 0.1
    lab.store.before_get = lambda key: time.sleep(0.1)
    lab.store.before_put = lambda key: time.sleep(0.1)
    summary = run(lab, lab.job(12))
    assert len(summary.items) == 12
    assert summary.seconds < 2.4


def test_photos_do_not_wait_for_an_api_that_is_slow(lab: Lab) -> None:
    message = lab.job(6)
    lab.api.open.clear()

    async def go() -> JobSummary:
        async with lab.worker(2) as worker:
            job = asyncio.create_task(JobRun(worker, message, "runpod-1").run())
            results = {output_key(USER, JOB, idx) for idx in range(6)}
            await until(lambda: results <= lab.store.objects.keys())
            assert not job.done()
            assert lab.api.results == []
            lab.api.open.set()
            return await job

    assert len(asyncio.run(go()).items) == 6


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_item_whose_callback_fails_is_in_the_summary_all_the_same(lab: Lab, status: int) -> None:
    lab.api.status = lambda result: status

    summary = run(lab, lab.job(2))

    assert [item.status for item in summary.items] == ["done", "done"]
    assert summary.stopped is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"preset": "garden"}, "preset"),
        ({"callback_url": "ftp://api.test/x"}, "callback_url"),
        ({"concepts": {"": ConceptRule(Action.RECOLOR, "#000000")}}, "concepts."),
        ({"concepts": {"Wall": ConceptRule(Action.RECOLOR, "navy-ish")}}, "concepts.Wall"),
        ({"protect": ["\n"]}, "protect"),
    ],
)
def test_message_that_fits_no_photo_is_refused_as_a_whole(
    lab: Lab, change: dict[str, object], field: str
) -> None:
    message = msgspec.structs.replace(lab.job(1), **change)

    with pytest.raises(PlanRefused) as refusal:
        run(lab, message)

    assert refusal.value.field == field
    assert lab.store.journal == []


def test_same_item_twice_is_refused(lab: Lab) -> None:
    message = lab.job(1)

    with pytest.raises(PlanRefused):
        run(lab, msgspec.structs.replace(message, items=[*message.items, *message.items]))


def test_photo_that_was_swapped_after_its_confirmation_is_refused(lab: Lab) -> None:
    message = lab.job(2)
    etags = [hashlib.md5(lab.store.objects[item.input_key]).hexdigest() for item in message.items]
    confirmed = [
        msgspec.structs.replace(item, input_etag=etag)
        for item, etag in zip(message.items, etags, strict=True)
    ]
    lab.store.objects[input_key(USER, JOB, 0)] = encode_png(make_photo(7))

    swapped, kept = run(lab, msgspec.structs.replace(message, items=confirmed)).items

    assert swapped.error is not None
    assert (swapped.error.code, swapped.error.retryable) == ("INPUT_CHANGED", False)
    assert output_key(USER, JOB, 0) not in lab.store.objects
    assert kept.status is ItemStatus.DONE
