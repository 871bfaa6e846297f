"""What a worker wrote into its log about one job, where that is for an operator."""

import re
from collections.abc import Sequence

from infra.deploy.bodies import WorkerList
from infra.deploy.runpod import RunpodRest
from infra.doctor.findings import Finding, trouble
from infra.doctor.patient import Patient

PART = "photo"
MOST_WORKERS = 3
"""Whose logs are read: each costs seconds, and the job was with one of those that are up."""

_REFUSED = re.compile(r"callback of item \d+ refused with status (\d+)")
_GIVEN_UP = re.compile(r"callback of item \d+ given up")
_STRANGER = re.compile(r"callback_url: (names a host|must be an https URL)")
_STORAGE = re.compile(r"storage: \w+ .*?: (\w+)( \(HTTP \d+\))?")


def read_complaints(
    runpod: RunpodRest, endpoint_id: str, workers: WorkerList, job_id: str, patient: Patient
) -> list[Finding]:
    """Nothing where they wrote nothing, or their logs cannot be had."""
    for worker in workers.workers[:MOST_WORKERS]:
        lines = runpod.log_lines(endpoint_id, worker.id)
        if found := judge_lines([line for line in lines if job_id in line], patient):
            return [found]
    return []


def judge_lines(lines: Sequence[str], patient: Patient) -> Finding | None:
    """The first of them that says what is wrong, as a sentence."""
    for line in lines:
        if sentence := _sentence(line, patient):
            return trouble(PART, sentence)
    return None


def _sentence(line: str, patient: Patient) -> str:
    url = patient.public_url
    if refused := _REFUSED.search(line):
        if refused[1] == "403":
            return (
                "The API refuses what workers report: their GPU_CALLBACK_SECRET is another one, "
                "or their clock is more than five minutes wrong."
            )
        return f"What workers report to PUBLIC_URL, {url}, is answered with {refused[1]}."
    if _GIVEN_UP.search(line):
        return f"Workers do not reach PUBLIC_URL, {url}: it must be open to the internet, by https."
    if _STRANGER.search(line):
        return (
            f"Workers may not call {patient.callback_host}: add it to their CALLBACK_ALLOWED_HOSTS "
            "and give PUBLIC_URL by https."
        )
    if storage := _STORAGE.search(line):
        return f"Workers cannot use the bucket ({storage[1]}): look at STORAGE_* of the workers."
    return ""
