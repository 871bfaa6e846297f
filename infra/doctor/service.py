"""The API: there, of one mind about tokens, and sharing the callback secret."""

import ipaddress
import time
from contextlib import suppress

import httpx
import msgspec
from msgspec import Struct

from infra.client import ApiError, ClientError, PaletteClient
from infra.doctor.findings import Finding, note, ok, trouble
from infra.doctor.patient import Patient
from shared.messages import ItemError, ItemResult, ItemStatus
from shared.signing import sign_headers

ASKED = 6
"""Calls with one token: enough to meet each of a few processes behind one address."""

_NOBODY = "doctor"
_WELL = frozenset({"ok", "ahead"})


class _Details(Struct, frozen=True):
    checks: dict[str, str] = {}


class _Error(Struct, frozen=True):
    details: _Details = _Details()


class _Answer(Struct, frozen=True):
    """As much of the envelope as says what is ill."""

    meta: dict[str, object]
    error: _Error | None = None


_ILL = {
    "database": "The API's database does not answer: look at it, and at DATABASE_URL.",
    "storage": (
        "The API cannot open its bucket, which R2_* as they are here do open: give it these and "
        "start it anew."
    ),
    "schema": "The API's database lacks a migration: run `python -m edge_api migrate`.",
    "queue": "A job waits for Runpod for too long: see docs/runbook/queue-age.md.",
    "endpoint": (
        "The API submits nothing for now, since Runpod refused what it sent: if that was 401 in "
        "its log, it has another RUNPOD_API_KEY than is here."
    ),
}
"""By check of the API's own; what else could be at fault has been looked at before."""


def look_at_health(http: httpx.Client, patient: Patient, *, bucket: bool = True) -> list[Finding]:
    """Trouble where the API cannot be used at all. Without `bucket` it is known to be ill."""
    try:
        answer = http.get(f"{patient.api_url}/health")
        told = msgspec.json.decode(answer.content, type=_Answer)
    except httpx.HTTPError as error:
        reason = type(error).__name__
        return [
            trouble(
                "api",
                f"The API does not answer at {patient.api_url} ({reason}): start it, or mend "
                "PUBLIC_URL.",
            )
        ]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return [trouble("api", f"Something else than the API answers at {patient.api_url}.")]
    if answer.is_success:
        return [ok("api", "The API answers, and its database and bucket with it.")]
    ill = _ill(told)
    if not bucket and ill == ["storage"]:
        return [note("api", "The API answers, and misses its bucket.")]
    if not ill:
        return [trouble("api", f"The API answers {answer.status_code} to the question how it is.")]
    return [trouble("api", _ILL[name]) for name in ill if bucket or name != "storage"]


def look_at_flow(http: httpx.Client, patient: Patient) -> list[Finding]:
    """What the API itself knows of jobs that do not move."""
    try:
        answer = http.get(f"{patient.api_url}/health/ready")
        told = msgspec.json.decode(answer.content, type=_Answer)
    except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError):
        return []  # an earlier look has said so
    return [trouble("api", _ILL[name]) for name in _ill(told)]


def _ill(told: _Answer) -> list[str]:
    checks = told.error.details.checks if told.error is not None else {}
    return [name for name, state in checks.items() if state not in _WELL and name in _ILL]


def look_at_tokens(client: PaletteClient) -> list[Finding]:
    """Signs up, so that `client` has a token afterwards."""
    try:
        client.sign_up()
        for _ in range(ASKED):
            client.me()
    except ApiError as error:
        if error.code == "TOKEN_INVALID":
            return [
                trouble(
                    "tokens",
                    "The API refuses a token that it has just given: its processes do not have "
                    "the same JWT_SECRET.",
                )
            ]
        return [trouble("tokens", f"The API gives no account: {error.message}")]
    except ClientError as error:
        return [trouble("tokens", f"The API gives no account: {error}.")]
    return [ok("tokens", f"A new account's token holds, {ASKED} times.")]


def look_at_callback_secret(
    http: httpx.Client, patient: Patient, ahead: float = 0.0
) -> list[Finding]:
    """Reports an item of a job that does not exist: 404 means that the signature was believed.

    Signed by the API's own clock, `ahead` seconds before ours, so that only the secret counts.
    """
    try:
        statuses = _report_nobody(http, patient, patient.api_url, ahead)
    except httpx.HTTPError as error:
        return [trouble("callback", f"A callback gets no answer ({type(error).__name__}).")]
    if odd := statuses - {403, 404}:
        return [trouble("callback", f"A callback of no job is answered with {min(odd)}.")]
    if 403 in statuses:
        return [
            trouble(
                "callback",
                "The API does not accept GPU_CALLBACK_SECRET as it is here: it has another one.",
            )
        ]
    return [ok("callback", "The API accepts what GPU_CALLBACK_SECRET signs.")]


def _report_nobody(http: httpx.Client, patient: Patient, url: str, ahead: float) -> set[int]:
    """The answers to it, signed with each secret. Raises httpx.HTTPError."""
    body = msgspec.json.encode(_news_of_nobody())
    statuses = set[int]()
    for secret in patient.callback_secrets:
        headers = sign_headers(secret, f"msg_{_NOBODY}", body, now=time.time() + ahead)
        headers["Content-Type"] = "application/json"
        path = f"/jobs/{_NOBODY}/callback"
        statuses.add(http.post(f"{url}{path}", content=body, headers=headers).status_code)
    return statuses


def look_at_callback_url(http: httpx.Client, patient: Patient, ahead: float = 0.0) -> list[Finding]:
    """Whether a worker can reach PUBLIC_URL, as far as that can be told from here."""
    url, part = patient.public_url, "callback"
    if not patient.is_local and _is_private(patient.callback_host):
        return [trouble(part, f"PUBLIC_URL is {url}, which no worker at Runpod can reach.")]
    try:
        reached = http.get(f"{url}/health/live").is_success
        other = url != patient.api_url
        strange = other and 404 not in _report_nobody(http, patient, url, ahead)
    except httpx.HTTPError as error:
        reason = type(error).__name__
        return [trouble(part, f"PUBLIC_URL, {url}, cannot be reached ({reason}).")]
    if not reached:
        return [trouble(part, f"Something else than the API answers at PUBLIC_URL, {url}.")]
    if strange:
        return [trouble(part, f"Another API than yours answers at PUBLIC_URL, {url}.")]
    if not (patient.is_local or url.startswith("https://")):
        return [note(part, f"PUBLIC_URL, {url}, is not https: workers in production refuse it.")]
    return [ok(part, f"PUBLIC_URL, {url}, is reached.")]


def forget_account(http: httpx.Client, patient: Patient, token: str) -> None:
    """Erase the account that was made for the examination, and its photo with it."""
    bearer = {"Authorization": f"Bearer {token}"}
    # Where it does not answer, the service itself deletes the photo in its time.
    with suppress(httpx.HTTPError):
        http.delete(f"{patient.api_url}/me", headers=bearer)


def _news_of_nobody() -> ItemResult:
    return ItemResult(
        idx=0,
        status=ItemStatus.FAILED,
        idempotency_key=f"{_NOBODY}:0:attempt1",
        dispatch_id=_NOBODY,
        attempt=1,
        runpod_job_id=_NOBODY,
        error=ItemError("NOBODY", "Sent by the doctor.", retryable=False),
    )


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".internal")) or "." not in host
