"""One album through the API, step by step as the phone does it."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from infra.client import Executed, ItemDetail, Job, JobCreated, PaletteClient
from infra.demo.albums import Album, Photo
from infra.demo.progress import AlbumProgress, Stage
from infra.demo.results import Files, save_files, sheet_photo
from infra.demo.sheet import SheetPhoto

TRANSFERS = 4
POLL_S = 0.4
PATIENCE_S = 300.0

_WAITS = {"queued": Stage.QUEUED, "running": Stage.WORKING}


class Outcome(Struct, frozen=True, eq=False):
    """What became of one photo."""

    photo: Photo
    detail: ItemDetail
    shown: SheetPhoto

    @property
    def done(self) -> bool:
        return self.detail.item.status == "done"


class AlbumOutcome(Struct, frozen=True, eq=False):
    """What became of an album; `seconds` from creating the job to the last saved file."""

    album: Album
    executed: Executed
    outcomes: list[Outcome]
    folder: Path
    seconds: float


def run_album(
    client: PaletteClient,
    album: Album,
    photos: list[Photo],
    folder: Path,
    progress: AlbumProgress,
    check: Callable[[], None],
) -> AlbumOutcome:
    """Create, upload, confirm, execute, wait, and save each photo's results as soon as it ends.

    `check` is called while waiting and may raise. Raises ClientError, and OSError where a photo
    cannot be read any more or a result cannot be saved.
    """
    started = time.monotonic()
    created = client.create_job(album.preset, len(photos))
    with ThreadPoolExecutor(TRANSFERS, thread_name_prefix="transfer") as pool:
        try:
            run = _Run(client, photos, folder, progress, pool, created)
            run.upload()
            client.confirm_upload(created.job_id)
            executed = client.execute(created.job_id, album.concepts, protect=album.protect)
            outcomes = run.collect(check)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return AlbumOutcome(album, executed, outcomes, folder, time.monotonic() - started)


class _Run:
    """The transfers of one job, several at a time."""

    def __init__(
        self,
        client: PaletteClient,
        photos: list[Photo],
        folder: Path,
        progress: AlbumProgress,
        pool: ThreadPoolExecutor,
        created: JobCreated,
    ) -> None:
        self._client = client
        self._photos = photos
        self._folder = folder
        self._progress = progress
        self._pool = pool
        self._created = created
        self._fetched: dict[int, Future[Outcome]] = {}

    def upload(self) -> None:
        urls = {target.idx: target.url for target in self._created.presigned_urls}
        jobs = [self._pool.submit(self._upload, idx, urls[idx]) for idx in range(len(self._photos))]
        for job in jobs:
            job.result()

    def collect(self, check: Callable[[], None]) -> list[Outcome]:
        """Every photo's outcome, in order."""

        def look(job: Job) -> None:
            check()
            self._note(job)

        self._client.wait(self._created.job_id, poll=POLL_S, timeout=PATIENCE_S, on_progress=look)
        return [self._fetched[idx].result() for idx in range(len(self._photos))]

    def _upload(self, idx: int, url: str) -> None:
        self._progress.move(idx, Stage.UPLOADING)
        data = self._photos[idx].read()
        self._client.upload(url, data, "image/jpeg")
        self._progress.move(idx, Stage.UPLOADED, f"{len(data) / 1e6:.1f} MB")

    def _note(self, job: Job) -> None:
        for item in job.items:
            if item.status == "pending" and not job.ended:
                self._progress.move(item.idx, _WAITS.get(job.status, Stage.QUEUED))
            elif item.idx not in self._fetched:
                self._fetched[item.idx] = self._pool.submit(self._fetch, item.idx)

    def _fetch(self, idx: int) -> Outcome:
        detail = self._client.item(self._created.job_id, idx)
        done = detail.item.status == "done"
        if done:
            self._progress.move(idx, Stage.FETCHING)
        files = self._download(detail)
        photo = self._photos[idx]
        before = photo.read()
        save_files(self._folder, idx, photo, before, files)
        shown = sheet_photo(idx, photo, before, files, detail)
        self._progress.move(idx, Stage.SAVED if done else Stage.FAILED, _note_of(detail))
        return Outcome(photo, detail, shown)

    def _download(self, detail: ItemDetail) -> Files:
        def get(url: str | None) -> bytes | None:
            return None if url is None else self._client.download(url)

        return Files(
            result=get(detail.output_url),
            preview=get(detail.preview_url),
            instances=get(detail.instances_url),
            masks={name: self._client.download(url) for name, url in detail.mask_urls.items()},
        )


def _note_of(detail: ItemDetail) -> str:
    if detail.item.error is not None:
        return detail.item.error
    report = detail.item.report
    found = {} if report is None else report.instances
    return ", ".join(f"{name} {count}" for name, count in found.items() if count)
