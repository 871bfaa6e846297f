"""The API with its own queue in the place of Runpod: store, API and workers that pull from it."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import Engine, create_engine, text

from infra.client import PaletteClient
from infra.local.services import Service, Wishes, local_services
from infra.local.site import Site
from infra.local.stack import Stack
from tests.e2e.conftest import Phone, encode
from tests.e2e.test_failures import WALL, check_money, wait_for_first_item
from tests.gpu_handler.conftest import make_photo

pytestmark = pytest.mark.e2e

TOKEN = "a-token-of-the-queue-alone-" + "q" * 32
PHOTO = make_photo(0, 480, 360)
LEASE = 2


def services_that_pull(
    site: Site, wishes: Wishes, environ: Mapping[str, str]
) -> tuple[Service, ...]:
    store, _, api, *workers = local_services(site, wishes, environ)
    told = {name: value for name, value in api.env.items() if not name.startswith("RUNPOD_")}
    told |= {"DISPATCH": "queue", "QUEUE_TOKEN": TOKEN, "QUEUE_LEASE_SEC": str(LEASE)}
    return (
        store,
        structs.replace(api, env=told),
        *(_puller(site, worker) for worker in workers),
    )


def _puller(site: Site, worker: Service) -> Service:
    kept = {name: value for name, value in worker.env.items() if not name.startswith("RUNPOD_")}
    settings = {
        "ADAPTER": "queue",
        "QUEUE_URL": site.api_url,
        "QUEUE_TOKEN": TOKEN,
        "WORKER_NAME": worker.name,
        "BATCH_CONCURRENCY": "1",
    }

    def is_ready(_: str) -> bool:
        return True  # it waits for the API by itself

    return structs.replace(worker, pod=False, env={**kept, **settings}, probe=is_ready)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    folder = tmp_path_factory.mktemp("own-queue")
    with Stack(folder, workers=2, services=services_that_pull) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def engine(stack: Stack) -> Generator[Engine]:
    engine = create_engine(f"sqlite:///{stack.site.data_dir / 'edge.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def phone(stack: Stack) -> Generator[Phone]:
    with PaletteClient(stack.api_url, trust_env=False) as client:
        yield Phone(client)


def photos(count: int) -> list[bytes]:
    return [encode(PHOTO, "JPEG")] * count


def queued(engine: Engine, job_id: str) -> list[dict[str, Any]]:
    """What the queue knows of a job, oldest first."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM queued_jobs ORDER BY created_at")).mappings()
        found = [{**row, "payload": json.loads(row["payload"])} for row in rows]
    return [row for row in found if row["payload"]["job_id"] == job_id]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.05)


def test_an_album_is_pulled_painted_and_downloaded(
    stack: Stack, phone: Phone, engine: Engine
) -> None:
    job = phone.run("interior", photos(2), WALL)

    assert (job.status, job.done_items, job.failed_items) == ("done", 2, 0)
    for urls in job.download_urls:
        assert phone.image(urls.output_url).shape == PHOTO.shape
    check_money(stack, phone, job)
    until(lambda: [row["state"] for row in queued(engine, job.job_id)] == ["COMPLETED"])


def test_another_worker_finishes_what_a_killed_one_left(
    stack: Stack, phone: Phone, engine: Engine
) -> None:
    job_id = phone.start("interior", photos(5), WALL)
    wait_for_first_item(phone, job_id)
    (first,) = queued(engine, job_id)
    assert first["state"] == "IN_PROGRESS", "the job was over too soon to be interrupted"

    stack.kill(first["worker"])
    done_before = phone.client.job(job_id).done_items
    job = phone.wait(job_id)
    stack.revive(first["worker"])

    assert (job.status, job.done_items, job.failed_items) == ("done", 5, 0)
    check_money(stack, phone, job)
    until(lambda: queued(engine, job_id)[-1]["state"] == "COMPLETED")
    lost, second = queued(engine, job_id)
    assert (lost["state"], lost["error"]) == ("FAILED", "worker lost")
    assert second["worker"] != lost["worker"]
    assert len(second["payload"]["items"]) == 5 - done_before, "something was done twice"
