"""Secrets are replaced while a phone holds a token and a worker holds a job."""

import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from msgspec.structs import replace

from infra.local.services import Service, Wishes, local_services
from infra.local.site import ENDPOINT_ID, Site
from infra.local.stack import Stack
from tests.edge_api.phone import Phone
from tests.edge_api.worker import Worker

pytestmark = pytest.mark.e2e

OLD = {"JWT_SECRET": "old-jwt-" + "o" * 32, "GPU_CALLBACK_SECRET": "old-callback-" + "o" * 32}
NEW = {"JWT_SECRET": "new-jwt-" + "n" * 32, "GPU_CALLBACK_SECRET": "new-callback-" + "n" * 32}
BOTH = {name: f"{NEW[name]},{OLD[name]}" for name in OLD}


class Rotation:
    """A stack without workers, whose API starts with whatever its environment says by then."""

    def __init__(self, folder: Path) -> None:
        self._environment: dict[str, str] = {}
        self.stack = Stack(folder, services=self._services)

    def _services(
        self, site: Site, wishes: Wishes, environ: Mapping[str, str]
    ) -> Sequence[Service]:
        store, runpod, api, *_workers = local_services(site, wishes, environ)
        self._environment |= {**api.env, **OLD}
        return store, runpod, replace(api, env=self._environment)

    def restart(self, secrets: Mapping[str, str]) -> None:
        self._environment |= secrets
        self.stack.kill("api")
        self.stack.revive("api")
        self.stack.wait_ready()

    def take_job(self) -> dict[str, Any]:
        """The message that Runpod hands to a worker."""
        url = f"{self.stack.runpod_url}/v2/{ENDPOINT_ID}/job-take/worker"
        headers = {"Authorization": self.stack.site.secrets.runpod_worker_key}
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            taken = httpx.get(url, headers=headers, timeout=20, trust_env=False)
            if taken.raise_for_status().content:
                return taken.json()["input"]
        raise AssertionError("the job was not handed to Runpod")


@pytest.fixture
def rotation(tmp_path: Path) -> Generator[Rotation]:
    rotation = Rotation(tmp_path / "stack")
    with rotation.stack:
        rotation.stack.wait_ready()
        yield rotation


def refused(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_tokens_and_a_job_in_flight_survive(rotation: Rotation) -> None:
    with httpx.Client(base_url=rotation.stack.api_url, trust_env=False, timeout=10) as api:
        phone = Phone(api).sign_up("device")
        job_id = phone.queued_job(4)
        message = rotation.take_job()
        before = Worker(api, message, OLD["GPU_CALLBACK_SECRET"])
        after = Worker(api, message, NEW["GPU_CALLBACK_SECRET"])
        assert before.processed(0)
        assert refused(after.report(1)) == (403, "CALLBACK_UNAUTHORIZED")

        rotation.restart(BOTH)
        assert phone.statuses(job_id) == ["done", *["pending"] * 3]
        assert before.processed(1)
        assert after.processed(2)
        another = Phone(api).sign_up()
        jwt.decode(another.token, NEW["JWT_SECRET"], algorithms=["HS256"])

        rotation.restart(NEW)
        assert refused(phone.call("GET", "/me")) == (401, "TOKEN_INVALID")
        assert another.credits() == 10
        assert refused(before.report(3)) == (403, "CALLBACK_UNAUTHORIZED")
        assert after.processed(3)
        again = Phone(api).sign_up("device")
        assert again.user_id == phone.user_id
        assert again.job(job_id)["status"] == "done"
        assert again.credits() == 6
