"""All looks in order: what the later ones need comes first."""

from collections.abc import Callable, Generator

import httpx

from infra.client import PaletteClient
from infra.deploy.runpod import RunpodRest
from infra.doctor.clocks import judge_clocks, read_clocks
from infra.doctor.endpoint import look_at_endpoint
from infra.doctor.findings import Finding, Mark, note
from infra.doctor.pages import look_at_origins
from infra.doctor.patient import Patient
from infra.doctor.photo import PATIENCE_S, send_photo
from infra.doctor.service import (
    forget_account,
    look_at_callback_secret,
    look_at_callback_url,
    look_at_flow,
    look_at_health,
    look_at_tokens,
)
from infra.doctor.store import look_at_store

TIMEOUT_S = 15.0
_NO_IDLE_LINES = httpx.Limits(max_keepalive_connections=0)


def examine(
    patient: Patient, *, photo: bool = True, patience: float = PATIENCE_S
) -> Generator[Finding]:
    """Findings as they are made. A photo is sent only where nothing speaks against it."""
    direct = patient.is_local
    with (
        # Each call on a line of its own: none fails because an idle one was just closed.
        httpx.Client(
            timeout=TIMEOUT_S,
            trust_env=not direct,
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as http,
        RunpodRest(patient.rest_url, patient.runpod_key, secrets=patient.secrets) as runpod,
        PaletteClient(patient.api_url, trust_env=not direct) as client,
    ):
        worst = Mark.OK
        for look in _looks(http, runpod, client, patient):
            for finding in look():
                worst = finding.mark if finding.mark is Mark.TROUBLE else worst
                yield finding
        if photo and worst is Mark.TROUBLE:
            yield note("photo", "No photo is sent before the rest is well.")
        elif photo:
            yield from send_photo(http, client, runpod, patient, patience)
        if client.token is not None:
            forget_account(http, patient, client.token)


def _looks(
    http: httpx.Client, runpod: RunpodRest, client: PaletteClient, patient: Patient
) -> Generator[Callable[[], list[Finding]]]:
    """Each thing that is wrong is told once: what follows from it is not looked at, or left out."""
    offsets = read_clocks(http, patient)
    yield lambda: judge_clocks(offsets)
    ahead = offsets.get("the API", 0.0)
    store = look_at_store(patient)
    yield lambda: store
    bucket = _well(store)
    health = look_at_health(http, patient, bucket=bucket)
    yield lambda: health
    api = _well(health)
    if api:
        yield lambda: look_at_tokens(client)
        yield lambda: look_at_callback_secret(http, patient, ahead)
    if api or patient.public_url != patient.api_url:
        yield lambda: look_at_callback_url(http, patient, ahead)
    yield lambda: look_at_origins(http, patient, api=api, bucket=bucket)
    endpoint = look_at_endpoint(http, runpod, patient)
    yield lambda: endpoint
    if api and bucket and _well(endpoint):
        yield lambda: look_at_flow(http, patient)


def _well(found: list[Finding]) -> bool:
    return all(finding.mark is not Mark.TROUBLE for finding in found)
