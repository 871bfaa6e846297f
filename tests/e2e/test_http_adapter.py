"""The API with a handler of one's own in the place of Runpod: store, API and `ADAPTER=http`."""

import time
from collections.abc import Callable, Generator, Mapping

import pytest
from msgspec import structs

from infra.client import PaletteClient
from infra.local.probes import answers_ok
from infra.local.services import Service, Wishes, local_services
from infra.local.site import Site
from infra.local.stack import Stack
from tests.e2e.conftest import Phone, encode
from tests.e2e.test_failures import WALL, check_money, wait_for_first_item
from tests.gpu_handler.conftest import make_photo

pytestmark = pytest.mark.e2e

PHOTO = make_photo(0, 320, 240)


def services_without_runpod(
    site: Site, wishes: Wishes, environ: Mapping[str, str]
) -> tuple[Service, ...]:
    """The API is told what it always is: the handler listens where the emulator would."""
    store, _, api, worker = local_services(site, wishes, environ)
    kept = {name: value for name, value in worker.env.items() if not name.startswith("RUNPOD_")}
    settings = {
        "ADAPTER": "http",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(site.runpod_port),
        "HANDLER_API_KEY": site.secrets.runpod_api_key,
        "BATCH_CONCURRENCY": "1",
    }

    def is_ready(_: str) -> bool:
        return answers_ok(f"{site.runpod_url}/health/ready")

    handler = structs.replace(
        worker,
        name="handler",
        pod=False,
        env={**kept, **settings},
        probe=is_ready,
    )
    return (store, api, handler)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    folder = tmp_path_factory.mktemp("own-gpu")
    with Stack(folder, services=services_without_runpod) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def phone(stack: Stack) -> Generator[Phone]:
    with PaletteClient(stack.api_url, trust_env=False) as client:
        yield Phone(client)


def photos(count: int) -> list[bytes]:
    return [encode(PHOTO, "JPEG")] * count


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.05)


def log_of(stack: Stack) -> str:
    return (stack.log_dir / "handler.log").read_text()


def test_an_album_is_painted_and_downloaded(stack: Stack, phone: Phone) -> None:
    job = phone.run("interior", photos(2), WALL)

    assert (job.status, job.done_items, job.failed_items) == ("done", 2, 0)
    for urls in job.download_urls:
        assert phone.image(urls.output_url).shape == PHOTO.shape
    check_money(stack, phone, job)


def test_a_cancelled_job_stops_in_the_handler(stack: Stack, phone: Phone) -> None:
    job_id = phone.start("interior", photos(10), WALL)
    wait_for_first_item(phone, job_id)

    phone.client.cancel(job_id)

    until(lambda: "stopped: cancelled" in log_of(stack) or "stopped: superseded" in log_of(stack))
    job = phone.client.job(job_id)
    assert job.status == "canceled"
    assert 0 < job.done_items < 10
    check_money(stack, phone, job)


def test_a_job_outlives_its_handler(stack: Stack, phone: Phone) -> None:
    """Killed, it leaves a job that the next one does not know."""
    job_id = phone.start("interior", photos(4), WALL)
    wait_for_first_item(phone, job_id)

    stack.kill("handler")
    assert phone.client.job(job_id).done_items < 4, "the album is too small to be interrupted"
    stack.revive("handler")

    job = phone.wait(job_id)
    assert (job.status, job.done_items, job.failed_items) == ("done", 4, 0)
    check_money(stack, phone, job)
