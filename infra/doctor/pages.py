"""What a browser may do from the origins of the app's web build, asked as a browser asks."""

import time

import httpx

from infra.doctor.findings import Finding, note, ok, trouble
from infra.doctor.patient import Patient
from shared.presign import Presigner

_KEY = "inputs/doctor/doctor/0.jpg"


def look_at_origins(
    http: httpx.Client, patient: Patient, *, api: bool = True, bucket: bool = True
) -> list[Finding]:
    """Preflights only: nothing is uploaded. Who is known to be ill is not asked."""
    if not patient.origins:
        return [note("pages", "No origin was named: the web build is not looked at; phones work.")]
    try:
        return [
            finding
            for origin in patient.origins
            for finding in _look(http, patient, origin, api=api, bucket=bucket)
        ]
    except httpx.HTTPError as error:
        reason = type(error).__name__
        return [trouble("pages", f"A browser's question gets no answer ({reason}).")]


def _look(
    http: httpx.Client, patient: Patient, origin: str, *, api: bool, bucket: bool
) -> list[Finding]:
    missing: list[Finding] = []
    asked = "authorization,content-type"
    if api and not _may(http, f"{patient.api_url}/jobs", origin, "POST", asked):
        missing.append(
            trouble(
                "pages", f"The API lets no page of {origin} call it: add it to its CORS_ORIGINS."
            )
        )
    if bucket and (verbs := _forbidden(http, patient, origin)):
        missing.append(
            trouble(
                "pages",
                f"The bucket lets no page of {origin} {' or '.join(verbs)} it: add it to "
                "cors_origins of the deployment's file and run `deploy apply`.",
            )
        )
    if missing or not (api and bucket):
        return missing
    return [ok("pages", f"Pages of {origin} may call, upload and download.")]


def _forbidden(http: httpx.Client, patient: Patient, origin: str) -> list[str]:
    """What such a page may not do with the bucket."""
    store = Presigner(
        patient.store_endpoint, patient.bucket, patient.store_access_key, patient.store_secret_key
    )
    verbs = list[str]()
    for method, verb in {"PUT": "upload to", "GET": "download from"}.items():
        url = store.presign(method, _KEY, signed_at=int(time.time()), expires_in=60)
        asked = "content-type" if method == "PUT" else ""
        if not _may(http, url, origin, method, asked):
            verbs.append(verb)
    return verbs


def _may(http: httpx.Client, url: str, origin: str, method: str, headers: str) -> bool:
    """Raises httpx.HTTPError where nobody answers, which is no answer of that kind."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    answer = http.options(url, headers=asked)
    allowed = answer.headers.get("Access-Control-Allow-Origin", "")
    return answer.is_success and allowed in (origin, "*")
