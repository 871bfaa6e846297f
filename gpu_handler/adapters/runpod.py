"""Runpod Serverless: the only file that knows the SDK."""

import os

from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.worker import Worker
from gpu_handler.settings import Settings
from gpu_handler.shutdown import ShutdownHook

# At its default, DEBUG, the SDK logs whole results; it reads this when it is imported.
os.environ.setdefault("RUNPOD_LOG_LEVEL", "INFO")

import runpod
from runpod.serverless.modules.worker_state import JobsProgress

JOBS_AT_ONCE = 2
"""How many jobs the SDK may hold. With one, it looks for the next only once a second when the last
has ended, and the device idles through its downloads and uploads; two closed that gap in
measurements. The device and the memory are shared either way, so more would only keep jobs from
workers that are free."""


def serve(settings: Settings, worker: Worker, fetcher: Fetcher) -> None:
    """Take jobs until told to stop, or until the device is lost; leaves with SystemExit."""
    hook = ShutdownHook(worker.drain, lambda: JobsProgress().get_job_count() == 0)

    def concurrency(_: int) -> int:
        hook.install()  # the first call comes before the first job is taken
        return JOBS_AT_ONCE

    handler = make_handler(worker, fetcher, on_refresh=hook.leave)
    runpod.serverless.start({"handler": handler, "concurrency_modifier": concurrency})
