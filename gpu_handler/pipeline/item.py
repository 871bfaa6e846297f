"""One photo of a job, from its input object to its stored results."""

import asyncio
from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from gpu_handler.imaging.decode import MAX_BYTES
from gpu_handler.pipeline.failures import describe
from gpu_handler.pipeline.findings import make_report
from gpu_handler.pipeline.outputs import Output, check_keys, encode_outputs
from gpu_handler.pipeline.photo import look, paint
from gpu_handler.pipeline.plan import Plan
from gpu_handler.pipeline.stopping import Stopped, StopSign
from gpu_handler.pipeline.stopwatch import Stopwatch
from gpu_handler.pipeline.worker import Worker
from shared.messages import (
    ItemError,
    ItemMessage,
    ItemReport,
    ItemResult,
    ItemStatus,
    ItemWarning,
    JobMessage,
    idempotency_key,
)


class OpenJob(Struct, frozen=True, eq=False):
    """A job that is being worked on."""

    message: JobMessage
    plan: Plan
    runpod_job_id: str
    stop: StopSign


class Finished(Struct, frozen=True):
    """What a stored photo has to tell."""

    report: ItemReport
    warnings: list[ItemWarning]


async def process(worker: Worker, job: OpenJob, item: ItemMessage) -> ItemResult | None:
    """Do all of one photo but report it; None where the job stopped before it was stored.

    Every failure becomes a result: nothing but cancellation is raised.
    """
    watch = Stopwatch()
    try:
        return _result(job, item, watch, await _work(worker, job, item, watch))
    except Stopped:
        return None
    except Exception as error:  # noqa: BLE001 - one bad photo fails alone
        return _result(job, item, watch, describe(error))


async def _work(worker: Worker, job: OpenJob, item: ItemMessage, watch: Stopwatch) -> Finished:
    check_keys(job.message, item)
    job.stop.check()
    worker.device.check()
    data = await worker.lanes.network(
        watch.timed(
            "download",
            worker.store.get,
            item.input_key,
            max_bytes=MAX_BYTES,
            etag=item.input_etag,
        )
    )
    outputs, finished = await _develop(worker, job, item, data, watch)
    job.stop.check()
    with watch.stage("upload"):
        await _upload(worker, outputs)
    return finished


async def _develop(
    worker: Worker, job: OpenJob, item: ItemMessage, data: bytes, watch: Stopwatch
) -> tuple[list[Output], Finished]:
    """The part that holds pixels; they are let go on the way out."""
    async with watch.queued(worker.darkroom):
        seen = await look(worker, data, job.plan, job.stop, watch)
        async with watch.queued(worker.easels):
            job.stop.check()
            photo = await paint(worker, seen, job.plan, watch)
            job.stop.check()
            outputs = await worker.lanes.pixels(
                watch.timed("encode", encode_outputs, job.message, item, photo)
            )
    report = make_report(photo.findings, list(photo.masks))
    return outputs, Finished(report, photo.findings.warnings)


async def _upload(worker: Worker, outputs: Sequence[Output]) -> None:
    """Store all at once; the first failure is raised when none is under way any more."""
    puts = [
        worker.lanes.network(worker.store.put, output.key, output.body, output.content_type)
        for output in outputs
    ]
    for outcome in await asyncio.gather(*puts, return_exceptions=True):
        if outcome is not None:
            raise outcome


def _result(
    job: OpenJob, item: ItemMessage, watch: Stopwatch, outcome: Finished | ItemError
) -> ItemResult:
    message = job.message
    result = ItemResult(
        idx=item.idx,
        status=ItemStatus.FAILED,
        idempotency_key=idempotency_key(message.idempotency_prefix, item.idx, message.attempt),
        dispatch_id=message.dispatch_id,
        attempt=message.attempt,
        runpod_job_id=job.runpod_job_id,
        timings=watch.timings(),
    )
    match outcome:
        case ItemError():
            return replace(result, error=outcome)
        case Finished():
            return replace(
                result,
                status=ItemStatus.DONE,
                output_key=item.output_key,
                preview_key=item.preview_key,
                warnings=outcome.warnings,
                report=outcome.report,
            )
        case _:
            assert_never(outcome)
