"""The whole examination, photo and all, of the real local stack."""

from pathlib import Path

import pytest

from infra.doctor.examination import examine
from infra.doctor.findings import Finding, Mark
from infra.doctor.patient import Patient
from infra.local.site import BUCKET, ENDPOINT_ID
from infra.local.stack import Stack
from tests.infra.deploy.runpod_rest import Json, RunpodAccount, create_app
from tests.infra.deploy.serving import served

PATIENCE_S = 120.0


def endpoint(stack: Stack) -> Json:
    """As Runpod would tell it, for the workers that the stack runs."""
    return {
        "name": "palette",
        "type": "QUEUE",
        "image": "ghcr.io/example/palette-handler:0.1.0",
        "gpu": {"pools": ["ADA_24"]},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
        "env": {
            "GPU_CALLBACK_SECRET": stack.site.secrets.callback_secret,
            "STORAGE_S3_ENDPOINT": stack.store_url,
            "STORAGE_BUCKET": BUCKET,
            "STORAGE_ACCESS_KEY": stack.site.secrets.store_access_key,
            "STORAGE_SECRET_KEY": stack.site.secrets.store_secret_key,
            "SEGMENTER": "classical",
        },
    }


def patient(stack: Stack, rest: str) -> Patient:
    secrets = stack.site.secrets
    return Patient.from_env(
        {
            "PUBLIC_URL": stack.api_url,
            "GPU_CALLBACK_SECRET": secrets.callback_secret,
            "CORS_ORIGINS": "https://app.example.com",
            "RUNPOD_REST_URL": f"{rest}/v2",
            "RUNPOD_BASE_URL": f"{stack.runpod_url}/v2",
            "RUNPOD_API_KEY": secrets.runpod_api_key,
            "RUNPOD_ENDPOINT_ID": ENDPOINT_ID,
            "R2_ENDPOINT_URL": stack.store_url,
            "R2_ACCESS_KEY_ID": secrets.store_access_key,
            "R2_SECRET_ACCESS_KEY": secrets.store_secret_key,
        }
    )


@pytest.mark.slow
@pytest.mark.e2e
def test_a_photo_goes_through_and_classical_in_the_place_of_sam3_is_told(tmp_path: Path) -> None:
    with Stack(tmp_path / "stack") as stack:
        account = RunpodAccount(stack.site.secrets.runpod_api_key)
        made: Json = account.create(endpoint(stack)) | {"id": ENDPOINT_ID}
        account.endpoints = {ENDPOINT_ID: made}
        stack.wait_ready()
        with served(create_app(account)) as rest:
            well = list(examine(patient(stack, rest), patience=PATIENCE_S))
            made["env"]["SEGMENTER"] = "sam3"
            ill = list(examine(patient(stack, rest), patience=PATIENCE_S))
    assert not _troubles(well)
    assert well[-1].sentence.startswith("A photo went through and came back, by classical, ")
    (sentence,) = _troubles(ill)
    assert sentence.startswith("The photo was done by classical although SEGMENTER is sam3")


def _troubles(found: list[Finding]) -> list[str]:
    return [finding.sentence for finding in found if finding.mark is Mark.TROUBLE]
