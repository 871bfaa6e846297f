"""Parts of the stack die in the middle of a job: nothing is lost, nothing is doubled."""

import time

import pytest
from sqlalchemy import create_engine, text

from infra.client import Job, RuleAction
from infra.local.stack import Stack
from tests.e2e.conftest import Phone, encode, photos_of

pytestmark = pytest.mark.e2e

WALL = {"Wall": RuleAction("recolor", "navy")}


def album_of_ten() -> list[bytes]:
    return [encode(sample.pixels, "JPEG") for sample in photos_of("interior", 0.5)[:2]] * 5


def wait_for_first_item(phone: Phone, job_id: str) -> Job:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = phone.client.job(job_id)
        if job.done_items:
            return job
        time.sleep(0.05)
    raise AssertionError("no item was finished within a minute")


def check_money(stack: Stack, phone: Phone, job: Job) -> None:
    """The ledger explains the balance, and each item ended once."""
    engine = create_engine(f"sqlite:///{stack.site.data_dir / 'edge.db'}")
    user = {"user": phone.session.user_id}
    with engine.connect() as connection:
        ledger = connection.execute(
            text("SELECT SUM(amount) FROM billing_events WHERE user_id = :user"), user
        ).scalar_one()
        slots = connection.execute(
            text("SELECT open_jobs FROM users WHERE id = :user"), user
        ).scalar_one()
    engine.dispose()
    assert ledger == phone.client.me().credits == 10 - job.done_items
    assert slots == 0
    assert len(job.download_urls) == job.done_items


@pytest.mark.parametrize("part", ["worker", "api"])
def test_a_killed_part_loses_and_doubles_nothing(stack: Stack, phone: Phone, part: str) -> None:
    job_id = phone.start("interior", album_of_ten(), WALL)
    before = wait_for_first_item(phone, job_id)
    assert before.done_items < before.total_items, "the album is too small to be interrupted"

    stack.kill(part)
    if part != "worker":
        stack.revive(part)
    stack.wait_ready()

    job = phone.wait(job_id)
    assert (job.status, job.done_items, job.failed_items) == ("done", 10, 0)
    check_money(stack, phone, job)


def test_cancelling_keeps_what_is_done_and_refunds_the_rest(stack: Stack, phone: Phone) -> None:
    job_id = phone.start("interior", album_of_ten(), WALL)
    wait_for_first_item(phone, job_id)

    canceled = phone.client.cancel(job_id)

    time.sleep(3)  # callbacks of the photos that were in flight arrive late, and change nothing
    job = phone.client.job(job_id)
    assert job.status == "canceled"
    assert 0 < job.done_items < 10
    assert canceled.refunded == 10 - job.done_items
    check_money(stack, phone, job)


def test_a_restart_keeps_accounts_jobs_and_objects(stack: Stack, phone: Phone) -> None:
    job = phone.run("interior", album_of_ten()[:1], WALL)
    url = job.download_urls[0].output_url
    before = phone.client.download(url)

    for part in ("store", "api"):
        stack.kill(part)
        stack.revive(part)
    stack.wait_ready()

    assert phone.client.job(job.job_id).status == "done"
    assert phone.client.download(url) == before
