"""Runpod in, summary out: where the worker is put together, and the only file that knows the SDK.

Run as `python -u -m gpu_handler.handler`.
"""

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias

import cv2
import httpx
import msgspec

from gpu_handler import console
from gpu_handler.backends.choice import TorchMissing, choose_backends, gpu_in_use
from gpu_handler.callback import CallbackClient
from gpu_handler.check.photo import CheckFailed, prove
from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.fetch import Fetcher
from gpu_handler.ids import ids_of
from gpu_handler.inpainting.base import Inpainter, InpainterError
from gpu_handler.inputs import InlineRequest, InputRefused, invalid, read_input
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.job import JobRun
from gpu_handler.pipeline.plan import PlanRefused
from gpu_handler.pipeline.worker import Worker
from gpu_handler.segment.base import Segmenter
from gpu_handler.segment.choice import choose_engine
from gpu_handler.settings import DeviceChoice, Settings
from gpu_handler.shutdown import ShutdownHook
from shared.environment import Mode, SettingsError
from shared.logs import configure_logs, log_context
from shared.messages import JobMessage
from shared.objects import ObjectStore

JOBS_AT_ONCE = 2
"""How many jobs the SDK may hold. With one, it looks for the next only once a second when the last
has ended, and the device idles through its downloads and uploads; two closed that gap in
measurements. The device and the memory are shared either way, so more would only keep jobs from
workers that are free."""

REFRESH_PATIENCE = 15.0
"""Seconds. A photo that was already seen is painted, stored and reported in less."""

log = logging.getLogger("gpu_handler.handler")  # __name__ is __main__ where it matters

Answer: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Mapping[str, object]], Awaitable[Answer]]


def make_handler(
    worker: Worker, fetcher: Fetcher, on_refresh: Callable[[], None] = lambda: None
) -> Handler:
    """The function that the SDK calls with `{"id": ..., "input": ...}`.

    It answers with JSON-able values and raises nothing but CancelledError: the SDK would show a
    traceback to the caller. Once the device is lost, every answer asks for a fresh worker, for
    which `on_refresh` is called as well.
    """

    async def handler(job: Mapping[str, object]) -> Answer:
        request_id = str(job.get("id", ""))
        with log_context(runpod_job_id=request_id, **ids_of(job.get("input"))):
            told = await _answer_or_error(worker, fetcher, request_id, job.get("input"))
            if worker.device.lost:
                told |= await _refresh(worker)
                on_refresh()
            return told

    return handler


async def _answer_or_error(
    worker: Worker, fetcher: Fetcher, request_id: str, payload: object
) -> Answer:
    try:
        return await _answer(worker, fetcher, request_id, payload)
    except InputRefused as refusal:
        log.warning("refused: %s", refusal)
        return {"error": str(refusal)}
    except Exception:
        log.exception("request failed")
        return {"error": "INTERNAL_ERROR: the worker could not finish this request"}


async def _refresh(worker: Worker) -> Answer:
    """What makes Runpod replace this worker; the SDK takes it out of the answer.

    How soon the worker goes is not documented, so the other job it may have is waited for: that
    one will not get far either.
    """
    log.warning("a fresh worker is asked for")
    if not await worker.until_idle(REFRESH_PATIENCE):
        log.warning("another job still runs")
    return {"refresh_worker": True}


async def _answer(worker: Worker, fetcher: Fetcher, request_id: str, payload: object) -> Answer:
    match read_input(payload):
        case JobMessage() as message:
            return await _run_job(worker, message, request_id)
        case InlineRequest() as request:
            return msgspec.to_builtins(await console.answer(worker, fetcher, request))


async def _run_job(worker: Worker, message: JobMessage, request_id: str) -> Answer:
    try:
        run = JobRun(worker, message, request_id)
    except PlanRefused as refusal:
        raise invalid(refusal.field, str(refusal)) from refusal
    log.info("job begins: %d items, attempt %d", len(message.items), message.attempt)
    summary = await run.run()
    log.info(
        "job ends: %d of %d items in %.1f s, stopped: %s",
        len(summary.items),
        len(message.items),
        summary.seconds,
        summary.stopped,
        extra={"timings": summary.timings, "device_idle": summary.device_idle},
    )
    return msgspec.to_builtins(summary)


def build_worker(settings: Settings, engine: Segmenter, brushwork: Brushwork) -> Worker:
    """Open the clients and start the threads; nothing is connected to yet."""
    store = ObjectStore(
        settings.storage_s3_endpoint,
        settings.storage_bucket,
        settings.storage_access_key,
        settings.storage_secret_key,
    )
    # No proxy of the environment could reach this machine's own loopback.
    direct = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
    client = httpx.AsyncClient(mounts=direct, limits=httpx.Limits(max_connections=16))
    callbacks = CallbackClient(
        client,
        settings.callback_secret,
        timeout=settings.callback_timeout_sec,
        allowed_hosts=settings.callback_allowed_hosts,
        encrypted=settings.mode is Mode.PRODUCTION,
    )
    return Worker(
        engine,
        store,
        callbacks,
        brushwork=brushwork,
        batch_concurrency=settings.batch_concurrency,
    )


def choose_brushwork(settings: Settings) -> Brushwork:
    """What photos are painted with; the engine has been chosen, and torch imported where it is
    used. Raises SettingsError for what cannot be had."""
    try:
        backends = choose_backends(settings.pixel_backend)
    except TorchMissing as error:
        raise SettingsError("PIXEL_BACKEND", str(error)) from error
    log.info("pixels: %s, %s edges", backends[0].name, settings.mask_edges)
    return Brushwork(backends, settings.mask_edges, _inpainter(settings))


def _inpainter(settings: Settings) -> Inpainter | None:
    if settings.inpaint_model is None:
        return None
    try:
        from gpu_handler.inpainting.torchscript import TorchScriptInpainter

        return TorchScriptInpainter(settings.inpaint_model, _inpainting_device(settings))
    except ModuleNotFoundError as error:
        raise SettingsError("INPAINT_MODEL", f"needs {error.name}, which is missing") from error
    except InpainterError as error:
        raise SettingsError("INPAINT_MODEL", str(error)) from error


def _inpainting_device(settings: Settings) -> str:
    return "cuda" if gpu_in_use() and settings.sam3_device is not DeviceChoice.CPU else "cpu"


def main() -> int:
    """Work for Runpod until it says stop. 1 where a setting is missing, malformed or in vain."""
    try:
        settings = Settings.from_env(os.environ)
        _start_logs(settings)
        engine = choose_engine(settings)
        brushwork = choose_brushwork(settings)
        prove(brushwork)
    except (SettingsError, CheckFailed, DeviceLost, DeviceExhausted) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    work(settings, engine, brushwork)
    return 0


def _start_logs(settings: Settings) -> None:
    # At its default, DEBUG, the SDK logs whole results.
    os.environ.setdefault("RUNPOD_LOG_LEVEL", "INFO")
    import_module("runpod")  # takes a second, and sets up logging in its own way: so before ours
    configure_logs(settings.log_level, sys.stdout)


def _one_thread_each() -> None:
    # Photos run side by side; more threads inside each of them would only get in their way.
    cv2.setNumThreads(1)


def work(settings: Settings, engine: Segmenter, brushwork: Brushwork) -> None:
    """Take jobs until told to stop, or until the device is lost; leaves with SystemExit."""
    import runpod
    from runpod.serverless.modules.worker_state import JobsProgress

    _one_thread_each()
    worker = build_worker(settings, engine, brushwork)
    hook = ShutdownHook(worker.drain, lambda: JobsProgress().get_job_count() == 0)

    def concurrency(_: int) -> int:
        hook.install()  # the first call comes before the first job is taken
        return JOBS_AT_ONCE

    fetcher = Fetcher(allow_private=settings.allow_private_image_urls)
    handler = make_handler(worker, fetcher, on_refresh=hook.leave)
    try:
        runpod.serverless.start({"handler": handler, "concurrency_modifier": concurrency})
    finally:
        worker.close()


if __name__ == "__main__":
    sys.exit(main())
