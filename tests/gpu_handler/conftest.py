"""A worker whose store, engine and API are in memory; everything between them is real."""

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import cv2
import httpx
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.callback import CallbackClient, RetryPlan
from gpu_handler.imaging.png import encode_png
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.worker import Worker
from gpu_handler.segment.base import Instance, Pixels, Segmentation
from shared.actions import Action, ConceptRule
from shared.keys import input_key, output_key, preview_key
from shared.messages import ItemMessage, ItemResult, JobMessage
from shared.objects import ObjectChanged, ObjectMissing, ObjectTooLarge
from shared.presets import Concept
from shared.signing import verify

SECRET = "a-callback-secret-of-at-least-32-bytes"
USER, JOB = "user-1", "job-1"
CALLBACK_URL = "http://api.test/jobs/job-1/callback"


class MemoryStore:
    """A bucket in memory. `failing[key]` is raised for that key; `journal` tells the order."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.failing: dict[str, Exception] = {}
        self.journal: list[tuple[str, str]] = []
        self.before_get: Callable[[str], None] = lambda key: None
        self.before_put: Callable[[str], None] = lambda key: None

    def get(self, key: str, *, max_bytes: int, etag: str | None = None) -> bytes:
        self.journal.append(("get", key))
        self.before_get(key)
        self._fail(key)
        if key not in self.objects:
            raise ObjectMissing(key)
        if etag not in {None, hashlib.md5(self.objects[key]).hexdigest()}:
            raise ObjectChanged(key)
        if len(self.objects[key]) > max_bytes:
            raise ObjectTooLarge(key)
        return self.objects[key]

    def put(self, key: str, body: bytes | memoryview, content_type: str) -> None:
        self.before_put(key)
        self._fail(key)
        self.journal.append(("put", key))
        self.objects[key], self.types[key] = bytes(body), content_type

    def _fail(self, key: str) -> None:
        if key in self.failing:
            raise self.failing[key]


class HalfEngine:
    """Finds each concept that it `sees` in one half of a photo: left or right.

    It counts how many of its calls run at once, and each takes `seconds`. From call `gated_from`
    on, counted from 1, a call waits for `gate` when there is one. `batches` tells how many photos
    each call had, `failing` may raise for a call that is given those photos.
    """

    name = "half"

    def __init__(self) -> None:
        self.photos_at_once = 1
        self.batches: list[int] = []
        self.failing: Callable[[Sequence[Pixels]], None] = lambda photos: None
        self.sees = {"Wall": "left", "Floor": "left", "Grout": "right"}
        self.seconds = 0.0
        self.gate: threading.Event | None = None
        self.gated_from = 1
        self.calls = 0
        self.most_at_once = 0
        self.failure: Exception | None = None
        self._running = 0
        self._lock = threading.Lock()

    def prepare(self, photo: Pixels) -> Pixels:
        """A much smaller picture, as SAM3's is: a test that painted it would show."""
        return photo[::4, ::4]

    def segment(
        self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
    ) -> list[list[Segmentation]]:
        with self._lock:
            self.calls += 1
            self.batches.append(len(photos))
            call = self.calls
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        try:
            time.sleep(self.seconds)
            if self.gate is not None and call >= self.gated_from:
                assert self.gate.wait(10), "the gate was never opened"
            if self.failure is not None:
                raise self.failure
            self.failing(photos)
            return [[self._one(c.id) for c in sought] for sought in concepts]
        finally:
            with self._lock:
                self._running -= 1

    def _one(self, concept: str) -> Segmentation:
        logits = np.full((16, 16), -8, np.float32)
        side = self.sees.get(concept)
        if side is None:
            return Segmentation(concept, 0.05, logits)
        columns, box = (
            (slice(0, 8), (0.0, 0.0, 0.5, 1.0))
            if side == "left"
            else (slice(8, 16), (0.5, 0.0, 1.0, 1.0))
        )
        logits[:, columns] = 8
        return Segmentation(concept, 0.9, logits, (Instance(0.8, box, logits),))


class RecordingApi:
    """The other end of the callbacks: checks each signature, and answers with `status(result)`."""

    def __init__(self) -> None:
        self.results: list[ItemResult] = []
        self.status: Callable[[ItemResult], int] = lambda result: 200
        self.on_call: Callable[[ItemResult], None] = lambda result: None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        verify([SECRET], request.headers, request.content, now=time.time())
        result = msgspec.json.decode(request.content, type=ItemResult)
        await self.open.wait()
        self.on_call(result)
        self.results.append(result)
        return httpx.Response(self.status(result), json={})


def make_photo(seed: int = 0, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Left a warm wall with light falling off, right something dark blue, over both some noise."""
    rng = np.random.default_rng(seed)
    light = np.linspace(220, 150, width)[None, :, None] * np.array([1.0, 0.93, 0.85])
    light[:, width // 2 :] = (20, 30, 90)
    noise = rng.normal(0, 3, (height, width, 3))
    return np.clip(light + noise, 0, 255).astype(np.uint8)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for `condition`, which threads may bring about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


@dataclass
class Lab:
    """Doubles, and what a test needs to put them to work."""

    store: MemoryStore = field(default_factory=MemoryStore)
    engine: HalfEngine = field(default_factory=HalfEngine)
    api: RecordingApi = field(default_factory=RecordingApi)

    @asynccontextmanager
    async def worker(self, batch_concurrency: int = 4) -> AsyncGenerator[Worker]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.api)) as client:
            retry = RetryPlan(tries=2, first=0.01)
            callbacks = CallbackClient(client, SECRET, timeout=5.0, retry=retry)
            worker = Worker(
                self.engine,
                self.store,
                callbacks,
                brushwork=Brushwork([CpuBackend()]),
                batch_concurrency=batch_concurrency,
            )
            try:
                yield worker
            finally:
                worker.close()

    def upload(self, count: int, job: str = JOB) -> None:
        for idx in range(count):
            self.store.objects[input_key(USER, job, idx)] = encode_png(make_photo(idx))

    def message(
        self,
        count: int,
        *,
        job: str = JOB,
        concepts: dict[str, ConceptRule] | None = None,
        protect: Sequence[str] = (),
        batch_concurrency: int = 4,
    ) -> JobMessage:
        return JobMessage(
            schema_version=1,
            job_id=job,
            dispatch_id="dispatch-1",
            attempt=1,
            user_id=USER,
            preset="interior",
            concepts=concepts or {"Wall": ConceptRule(Action.RECOLOR, "#7FA8C9")},
            protect=list(protect),
            items=[
                ItemMessage(
                    idx,
                    input_key(USER, job, idx),
                    output_key(USER, job, idx),
                    preview_key(USER, job, idx),
                )
                for idx in range(count)
            ],
            callback_url=CALLBACK_URL,
            idempotency_prefix=job,
            batch_concurrency=batch_concurrency,
        )

    def job(self, count: int, job: str = JOB) -> JobMessage:
        """A plain message whose photos are uploaded."""
        self.upload(count, job)
        return self.message(count, job=job)

    def stored_image(self, key: str) -> NDArray[np.uint8]:
        data = np.frombuffer(self.store.objects[key], np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        assert image is not None, f"{key} does not decode"
        return np.asarray(image[..., ::-1] if image.ndim == 3 else image, np.uint8)

    def photo(self, seed: int) -> NDArray[np.uint8]:
        return make_photo(seed)


@pytest.fixture
def lab() -> Lab:
    return Lab()
