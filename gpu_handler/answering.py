"""An `input` in, the answer out: what every adapter calls, and what knows none of them."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from gpu_handler import console
from gpu_handler.fetch import Fetcher
from gpu_handler.ids import ids_of
from gpu_handler.inputs import InlineRequest, InputRefused, invalid, read_input
from gpu_handler.pipeline.job import JobRun
from gpu_handler.pipeline.plan import PlanRefused
from gpu_handler.pipeline.worker import Worker
from shared.logs import log_context
from shared.messages import JobMessage

REFRESH_PATIENCE = 15.0
"""Seconds. A photo that was already seen is painted, stored and reported in less."""

log = logging.getLogger(__name__)

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
