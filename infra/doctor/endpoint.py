"""The endpoint at Runpod: there, allowed to run, with machines to run on, told the same secrets."""

import re
from collections.abc import Sequence

import httpx

from infra.deploy.bodies import Endpoint, WorkerList
from infra.deploy.errors import DeployError, RunpodMissing
from infra.deploy.prices import read_pools
from infra.deploy.runpod import RunpodRest
from infra.doctor.findings import Finding, note, ok, trouble
from infra.doctor.patient import Patient
from infra.doctor.worker_settings import look_at_settings

PART = "endpoint"
# What a worker prints before it stops, for a setting that does not fit or weights that are not
# there, names the variable first.
_STOPPED = re.compile(
    r"\b((?:SAM3_[A-Z]+|SEGMENTER|HF_TOKEN|STORAGE_[A-Z0-9_]+|GPU_CALLBACK_SECRET"
    r"|CALLBACK_ALLOWED_HOSTS|INPAINT_MODEL|MODEL_CACHE_DIR): [^\"}]+)"
)
_WEIGHTS = ("SAM3_MODEL", "HF_TOKEN", "MODEL_CACHE_DIR")


def look_at_endpoint(http: httpx.Client, runpod: RunpodRest, patient: Patient) -> list[Finding]:
    """What Runpod says of it, and what its workers are told."""
    try:
        endpoint = runpod.endpoint(patient.endpoint_id)
        workers = runpod.workers(endpoint.id)
        found = [*look_at_settings(endpoint, patient), *look_at_workers(runpod, endpoint, workers)]
    except RunpodMissing:
        return [
            trouble(
                PART,
                f"Runpod has no endpoint {patient.endpoint_id}: mend RUNPOD_ENDPOINT_ID, or if it "
                "was deleted run `deploy apply`, which makes another and names its id.",
            )
        ]
    except DeployError as error:
        return [trouble(PART, str(error))]
    return found + _job_api(http, patient)


def look_at_workers(
    runpod: RunpodRest, endpoint: Endpoint, workers: WorkerList, *, waiting: bool = False
) -> list[Finding]:
    """Why there is no worker that works, if so. With `waiting` a job is there for one.

    Raises DeployError.
    """
    if endpoint.workers.max == 0:
        return [
            trouble(
                PART,
                "The endpoint may have no worker: somebody scaled it to zero, or Runpod did after "
                "seven days without a job; `deploy scale --workers 0 3` lets them run.",
            )
        ]
    if stopped := stopped_workers(runpod, endpoint.id, workers):
        return stopped
    if workers.count("RUNNING", "IDLE"):
        return [ok(PART, f"{workers.count('RUNNING', 'IDLE')} workers are ready.")]
    if unhealthy := workers.count("UNHEALTHY"):
        return [trouble(PART, f"{unhealthy} workers are unhealthy: their logs may say why.")]
    if scarce := _scarce(runpod, endpoint, workers):
        return scarce
    if workers.count("INITIALIZING"):
        return [note(PART, "A worker is being started.")]
    if waiting:
        return [trouble(PART, "A job waits and Runpod starts no worker for it.")]
    return [note(PART, "No worker runs, since there is no job: the first photo waits for one.")]


def stopped_workers(runpod: RunpodRest, endpoint_id: str, workers: WorkerList) -> list[Finding]:
    """What workers that do not come up say in their logs."""
    for worker in workers.workers:
        if worker.status in ("UNHEALTHY", "INITIALIZING"):
            lines = runpod.log_lines(endpoint_id, worker.id)
            if said := _last_words(lines):
                return [_stopped(said)]
    return []


def _stopped(said: str) -> Finding:
    if said.startswith(_WEIGHTS):
        return trouble("weights", f"A worker stops, since it has no weights: {said}")
    return trouble(PART, f"A worker stops before it takes a job: {said}")


def _last_words(lines: Sequence[str]) -> str:
    found = [match[1] for line in lines if (match := _STOPPED.search(line))]
    return found[-1].strip()[:300] if found else ""


def _scarce(runpod: RunpodRest, endpoint: Endpoint, workers: WorkerList) -> list[Finding]:
    names = endpoint.gpu.pools if endpoint.gpu is not None else None
    pools = read_pools(runpod.gpus(), names or [])
    told = ", ".join(pool.name for pool in pools)
    if pools and all(pool.stock == "NONE" for pool in pools):
        return [trouble(PART, f"Runpod has no GPU free in {told}: add another pool to gpu_pools.")]
    if workers.count("THROTTLED"):
        return [
            trouble(PART, f"Workers wait for a free GPU in {told}: add another pool to gpu_pools.")
        ]
    return []


def _job_api(http: httpx.Client, patient: Patient) -> list[Finding]:
    """Managing and running are two services; a key may be good for one alone."""
    headers = {"Authorization": f"Bearer {patient.runpod_key}"}
    try:
        answer = http.get(f"{patient.jobs_url}/{patient.endpoint_id}/health", headers=headers)
    except httpx.HTTPError as error:
        reason = type(error).__name__
        return [trouble(PART, f"Runpod's job API does not answer ({reason}).")]
    if answer.status_code in (401, 403):
        return [trouble(PART, "RUNPOD_API_KEY may not run jobs on this endpoint.")]
    if not answer.is_success:
        return [trouble(PART, f"Runpod's job API answers {answer.status_code} for this endpoint.")]
    return [ok(PART, "RUNPOD_API_KEY may run jobs on it.")]
