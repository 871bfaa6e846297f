"""What workers are told by their endpoint, beside what the API is told."""

import re
from collections.abc import Iterable

from infra.deploy.bodies import Endpoint
from infra.doctor.findings import Finding, Mark, note, ok, trouble
from infra.doctor.patient import Patient
from infra.doctor.store import look_at_workers_keys

PART = "endpoint"
# A secret of Runpod's own stands in for the value, which only a worker gets to see.
_ELSEWHERE = re.compile(r"\{\{\s*RUNPOD_SECRET_\w+\s*\}\}")
_KEYS = ("STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY")


def look_at_settings(endpoint: Endpoint, patient: Patient) -> list[Finding]:
    """Whether workers share secret, bucket and host with the API."""
    found = [*_secret(endpoint, patient), *_bucket(endpoint, patient), *_host(endpoint, patient)]
    if not any(finding.mark is Mark.TROUBLE for finding in found):
        found.insert(0, ok(PART, "The workers are told the API's secret, bucket and host."))
    if hidden := _hidden(endpoint, ("GPU_CALLBACK_SECRET", *_KEYS)):
        names = ", ".join(hidden)
        found.append(
            note(PART, f"{names} of the workers are secrets of Runpod's: only a photo tries them.")
        )
    return found


def _secret(endpoint: Endpoint, patient: Patient) -> list[Finding]:
    name = "GPU_CALLBACK_SECRET"
    secret = endpoint.env.get(name, "").partition(",")[0].strip()
    if secret in patient.callback_secrets or _hidden(endpoint, (name,)):
        return []
    return [_wrong(f"{name} of the workers is not the API's: callbacks are refused")]


def _bucket(endpoint: Endpoint, patient: Patient) -> list[Finding]:
    found: list[Finding] = []
    if endpoint.env.get("STORAGE_BUCKET") != patient.bucket:
        found.append(_wrong("STORAGE_BUCKET of the workers is not the API's R2_BUCKET_NAME"))
    if endpoint.env.get("STORAGE_S3_ENDPOINT", "").rstrip("/") != patient.store_endpoint:
        found.append(_wrong("STORAGE_S3_ENDPOINT of the workers is not where the API's bucket is"))
    if found or _hidden(endpoint, _KEYS):
        return found
    return look_at_workers_keys(endpoint.env, patient)


def _host(endpoint: Endpoint, patient: Patient) -> list[Finding]:
    name = "CALLBACK_ALLOWED_HOSTS"
    hosts = [host.strip().lower() for host in endpoint.env.get(name, "").split(",")]
    if not any(hosts) or patient.callback_host in hosts:
        return []
    return [_wrong(f"{name} of the workers lacks {patient.callback_host}, the host of PUBLIC_URL")]


def _wrong(what: str) -> Finding:
    return trouble(PART, f"{what}: mend it and run `deploy apply`.")


def _hidden(endpoint: Endpoint, names: Iterable[str]) -> list[str]:
    return [name for name in names if _ELSEWHERE.fullmatch(endpoint.env.get(name, "").strip())]
