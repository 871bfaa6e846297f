"""The demo's flow against a small API in the same process: order, files, failures."""

import io
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image
from rich.console import Console

from infra.client import PaletteClient, RuleAction, TransferFailed
from infra.demo.albums import Album, Photo
from infra.demo.flow import AlbumOutcome, run_album
from infra.demo.progress import STEPS, Stage, album_progress
from infra.demo.summary import print_summary

ALBUM = Album("Your photos", "interior", {"Wall": RuleAction("recolor", "")})


def encoded(form: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (8, 6), 120).save(buffer, form)
    return buffer.getvalue()


OBJECTS = {
    "/result": encoded("PNG"),
    "/preview": encoded("JPEG"),
    "/mask": encoded("PNG", "L"),
    "/instances": b"{}",
}
PHOTOS = [
    Photo("wall.png", ".png", lambda: OBJECTS["/result"]),
    Photo("notes", "", lambda: b"no picture"),
]


class FakeService:
    """Two items; the first is done in the second poll, the second fails in the third."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.uploads: dict[str, bytes] = {}
        self.polls = 0
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.calls.append(f"{request.method} {request.url.path}")
            if request.url.host == "store.test":
                return self._store(request)
            return httpx.Response(200, json=self._envelope(self._answer(request)))

    def _store(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            self.uploads[request.url.path] = request.content
            return httpx.Response(200)
        return httpx.Response(200, content=OBJECTS[request.url.path])

    def _answer(self, request: httpx.Request) -> object:
        match request.method, request.url.path.split("/")[1:]:
            case "POST", ["jobs"]:
                count = json.loads(request.content)["item_count"]
                return {"job_id": "j", "presigned_urls": [self._target(n) for n in range(count)]}
            case "POST", ["jobs", "j", "confirm-upload"]:
                return {"confirmed": True}
            case "POST", ["jobs", "j", "execute"]:
                rule = {"Wall": {"action": "recolor", "value": "offwhite_b"}}
                notice = {"code": "DEFAULT_VALUE", "message": "A default is used."}
                return {"queued": True, "concepts": rule, "protect": [], "warnings": [notice]}
            case "GET", ["jobs", "j"]:
                self.polls += 1
                return {"job": self._job()}
            case "GET", ["jobs", "j", "items", idx]:
                return self._item(int(idx))
            case call:
                raise AssertionError(call)

    def _target(self, idx: int) -> dict[str, object]:
        return {"idx": idx, "url": f"http://store.test/in/{idx}?sig=1", "key": f"{idx}.jpg"}

    def _job(self) -> dict[str, object]:
        first = "done" if self.polls >= 2 else "pending"
        second = "failed" if self.polls >= 3 else "pending"
        return {
            "job_id": "j",
            "status": ["queued", "running", "done"][min(self.polls, 3) - 1],
            "preset": "interior",
            "total_items": 2,
            "done_items": 1,
            "failed_items": 1,
            "items": [{"idx": 0, "status": first}, {"idx": 1, "status": second}],
            "download_urls": [],
        }

    def _item(self, idx: int) -> dict[str, object]:
        if idx == 1:
            message = "This is no photo."
            return {
                "item": {"idx": 1, "status": "failed", "error": message, "error_code": "NO_PHOTO"}
            }
        report = {"engine": "classical", "width": 8, "height": 6, "instances": {"Wall": 1}}
        timings = {"decode": 0.25, "total": 0.5}
        item = {"idx": 0, "status": "done", "timings": timings, "report": report}
        urls = {f"{kind}_url": f"http://store.test/{kind}" for kind in ("preview", "instances")}
        masks = {"Wall": "http://store.test/mask"}
        return {
            "item": item,
            "output_url": "http://store.test/result",
            "mask_urls": masks,
            **urls,
        }

    def _envelope(self, data: object) -> dict[str, object]:
        return {"success": True, "data": data, "error": None, "meta": {"request_id": "r"}}


class Steps:
    """A progress display that remembers."""

    def __init__(self) -> None:
        self.stages: dict[int, list[Stage]] = {0: [], 1: []}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def move(self, idx: int, stage: Stage, note: str = "") -> None:
        self.stages[idx].append(stage)


def run(service: FakeService, folder: Path, steps: Steps) -> AlbumOutcome:
    transport = httpx.MockTransport(service)
    with PaletteClient("http://api.test", "t", transport=transport, sleep=lambda _: None) as client:
        return run_album(client, ALBUM, PHOTOS, folder, steps, lambda: None)


def test_an_album_goes_the_way_of_the_phone(tmp_path: Path) -> None:
    service, steps = FakeService(), Steps()
    outcome = run(service, tmp_path, steps)
    calls = service.calls
    assert service.uploads == {"/in/0": OBJECTS["/result"], "/in/1": b"no picture"}
    first_calls = [call for call in calls if call.startswith("POST")]
    assert first_calls == ["POST /jobs", "POST /jobs/j/confirm-upload", "POST /jobs/j/execute"]
    assert max(map(calls.index, ["PUT /in/0", "PUT /in/1"])) < calls.index(first_calls[1])
    assert [result.done for result in outcome.outcomes] == [True, False]
    assert outcome.executed.concepts["Wall"].value == "offwhite_b"


def test_results_are_saved_under_the_photos_number(tmp_path: Path) -> None:
    run(FakeService(), tmp_path, Steps())
    saved = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert saved == {
        "00_before.png": OBJECTS["/result"],
        "00_result.png": OBJECTS["/result"],
        "00_preview.jpg": OBJECTS["/preview"],
        "00_mask_Wall.png": OBJECTS["/mask"],
        "00_instances.json": b"{}",
        "01_before": b"no picture",
    }


def test_what_the_sheet_will_show(tmp_path: Path) -> None:
    done, failed = (result.shown for result in run(FakeService(), tmp_path, Steps()).outcomes)
    assert done.before is not None
    assert (np.asarray(done.before) == (120, 0, 0)).all()
    assert done.masks["Wall"].mode == "L"
    assert (done.engine, done.seconds, done.error) == ("classical", 0.5, None)
    assert (failed.before, failed.after, failed.error) == (None, None, "This is no photo.")


def test_progress_only_goes_on(tmp_path: Path) -> None:
    steps = Steps()
    run(FakeService(), tmp_path, steps)
    for stages in steps.stages.values():
        places = [STEPS[stage] for stage in stages]
        assert places == sorted(places)
    assert steps.stages[0][-2:] == [Stage.FETCHING, Stage.SAVED]
    assert steps.stages[1][-2:] == [Stage.WORKING, Stage.FAILED]


def test_a_refused_upload_ends_the_run(tmp_path: Path) -> None:
    class Refusing(FakeService):
        def _store(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(403, text="SignatureDoesNotMatch")

    service = Refusing()
    with pytest.raises(TransferFailed, match="SignatureDoesNotMatch"):
        run(service, tmp_path, Steps())
    assert "POST /jobs/j/confirm-upload" not in service.calls


def test_a_check_that_fails_while_waiting_ends_the_run(tmp_path: Path) -> None:
    def check() -> None:
        raise RuntimeError("a process ended")

    transport = httpx.MockTransport(FakeService())
    with (
        PaletteClient("http://api.test", transport=transport) as client,
        pytest.raises(RuntimeError, match="a process ended"),
    ):
        run_album(client, ALBUM, PHOTOS, tmp_path, Steps(), check)


def test_the_tables_fit_80_columns_and_say_everything(tmp_path: Path) -> None:
    outcome = run(FakeService(), tmp_path, Steps())
    long = [replace(PHOTOS[0], name="거실 [bold]x" + "y" * 60), PHOTOS[1]]
    outcomes = [replace(o, photo=p) for o, p in zip(outcome.outcomes, long, strict=True)]
    console = Console(file=io.StringIO(), width=80, record=True)
    print_summary(console, [replace(outcome, outcomes=outcomes)])
    text = console.export_text()
    for words in ("decode", "0.25", "0.50", "Wall 1", "NO_PHOTO", "1 of 2 photos done", "[bold]"):
        assert words in text
    assert "note  interior: A default is used." in text


@pytest.mark.parametrize("terminal", [True, False])
def test_both_displays_say_where_each_photo_is(terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, _environ={"TERM": "xterm"})
    with album_progress(console, "Album [x]", ["one [b]", "two"]) as progress:
        progress.move(0, Stage.UPLOADED, "1.0 MB")
        progress.move(0, Stage.UPLOADED, "1.0 MB")
        progress.move(1, Stage.FAILED, "broken")
        progress.move(0, Stage.SAVED)
    text = file.getvalue()
    for words in ("Album [x]", "one [b]", "saved", "failed: broken"):
        assert words in text
    if not terminal:
        assert text.count("uploaded: 1.0 MB") == 1
        assert "\x1b" not in text
