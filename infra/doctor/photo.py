"""One synthetic photo through everything, and what it says where it does not come back."""

from collections.abc import Callable
from contextlib import suppress

import httpx

from infra.client import ClientError, ItemDetail, Job, JobStillOpen, PaletteClient, RuleAction
from infra.deploy.errors import DeployError
from infra.deploy.runpod import RunpodRest
from infra.doctor.complaints import read_complaints
from infra.doctor.endpoint import look_at_workers
from infra.doctor.findings import Finding, Mark, note, ok, trouble
from infra.doctor.patient import Patient
from infra.doctor.service import look_at_flow

PART = "photo"
PATIENCE_S = 600.0
"""A cold start: the image is fetched, and gigabytes of weights are read."""

POLL_S = 2.0
_SCALE = 0.25


def send_photo(
    http: httpx.Client,
    client: PaletteClient,
    runpod: RunpodRest,
    patient: Patient,
    patience: float = PATIENCE_S,
) -> list[Finding]:
    """Costs one credit of the account that `client` is signed in with, and seconds of a GPU."""
    job_id = ""
    try:
        created = client.create_job("interior", 1)
        job_id = created.job_id
        client.upload(created.presigned_urls[0].url, sample_photo(), "image/jpeg")
        client.confirm_upload(job_id)
        client.execute(job_id, {"Wall": RuleAction("recolor", "sage")})
        job = client.wait(job_id, poll=min(POLL_S, patience / 10), timeout=patience)
        return _judge(client, runpod, patient, job)
    except JobStillOpen as open_job:
        _give_up(lambda: client.cancel(job_id))
        why = (
            look_at_flow(http, patient)
            or _complaints(runpod, patient, job_id)
            or _why(runpod, patient)
        )
        return [note(PART, f"The photo did not come back: {open_job}; it was canceled."), *why]
    except ClientError as error:
        return [trouble(PART, f"The photo does not get through: {error}.")]


def sample_photo() -> bytes:
    """A small room, drawn by code."""
    # The drawing needs numpy and OpenCV, which looking at the rest does not.
    from infra.samples import ALBUMS, encode_jpeg

    return encode_jpeg(ALBUMS["interior"][0](_SCALE))


def _judge(client: PaletteClient, runpod: RunpodRest, patient: Patient, job: Job) -> list[Finding]:
    detail = client.item(job.job_id, 0)
    # A job whose reports are lost ends all the same, minutes later, by Runpod's own answer.
    if complaints := _complaints(runpod, patient, job.job_id):
        return complaints
    if job.status != "done":
        said = detail.item.error or f"the job is {job.status}"
        code = detail.item.error_code or "no code"
        return [trouble(PART, f"The photo failed ({code}): {said}")]
    if detail.output_url is None or not client.download(detail.output_url).startswith(b"\x89PNG"):
        return [trouble(PART, "The photo is done, and its result is no PNG.")]
    return [_engine(runpod, patient, detail)]


def _complaints(runpod: RunpodRest, patient: Patient, job_id: str) -> list[Finding]:
    try:
        workers = runpod.workers(patient.endpoint_id)
        return read_complaints(runpod, patient.endpoint_id, workers, job_id, patient)
    except DeployError:
        return []


def _engine(runpod: RunpodRest, patient: Patient, detail: ItemDetail) -> Finding:
    """Work by `classical` where SAM3 was wanted means that there are no weights."""
    report = detail.item.report
    used = "an unknown engine" if report is None else report.engine
    try:
        asked = runpod.endpoint(patient.endpoint_id).env.get("SEGMENTER", "auto")
    except DeployError:
        asked = used
    if used == "classical" and asked != "classical":
        return trouble(
            "weights",
            f"The photo was done by classical although SEGMENTER is {asked}: the worker found no "
            "weights, so set the cached model in Runpod's console, or SAM3_MODEL.",
        )
    seconds = (detail.item.timings or {}).get("total")
    took = "" if seconds is None else f", {seconds:.1f} s in the worker"
    return ok(PART, f"A photo went through and came back, by {used}{took}.")


def _why(runpod: RunpodRest, patient: Patient) -> list[Finding]:
    """A job that does not end: mostly there is no worker."""
    try:
        endpoint = runpod.endpoint(patient.endpoint_id)
        found = look_at_workers(runpod, endpoint, runpod.workers(endpoint.id), waiting=True)
    except DeployError as error:
        found = [trouble(PART, str(error))]
    if all(finding.mark is Mark.OK for finding in found):
        found = [
            trouble(
                PART,
                "Workers are there, and nothing comes back: their logs say whether they reach "
                "the bucket and PUBLIC_URL.",
            )
        ]
    return found


def _give_up(cancel: Callable[[], object]) -> None:
    with suppress(ClientError):  # it may have ended in this moment
        cancel()
