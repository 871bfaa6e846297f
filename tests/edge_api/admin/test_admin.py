"""`python -m edge_api admin`, as an operator types it, beside a service that runs."""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from edge_api.admin.commands import run_admin
from edge_api.admin.parser import add_admin
from edge_api.settings import Settings
from infra.local.store import ServedStore
from shared.objects import ObjectStore
from tests.edge_api import rows
from tests.edge_api.conftest import EAGER, StartService
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service, environment

Json = dict[str, Any]


class Operator:
    """Types commands at the service's own machine."""

    def __init__(self, variables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        self._settings = Settings.from_env(variables)
        self._capsys = capsys

    def type(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        parser = argparse.ArgumentParser()
        add_admin(parser)
        self._capsys.readouterr()
        try:
            code = run_admin(parser.parse_args(words), self._settings)
        except SystemExit as exit:
            code = int(exit.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def told(self, *words: str) -> Any:
        code, out, err = self.type(*words)
        assert code == 0, err
        return json.loads(out)

    def refused(self, *words: str) -> str:
        code, out, err = self.type(*words)
        assert code in {1, 2}, out
        return err


@pytest.fixture
def operator(store: ServedStore, database_url: str, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(environment(store, database_url), capsys)


def lost_job(service: Service, phone: Phone, count: int = 2) -> str:
    """A job whose first item is done and whose others no attempt could finish."""
    job_id = phone.queued_job(count)
    assert service.worker(job_id).processed(0)
    service.wait_until(
        "SELECT id FROM dispatches WHERE job_id = :job AND state = 'submitted'", job=job_id
    )
    service.change("UPDATE dispatches SET strikes = 2 WHERE job_id = :job", job=job_id)
    (row,) = service.rows("SELECT runpod_job_id FROM dispatches WHERE job_id = :job", job=job_id)
    service.runpod.tell(row["runpod_job_id"], "FAILED")
    service.change("UPDATE dispatches SET next_at = 0 WHERE job_id = :job", job=job_id)
    service.wait_until("SELECT id FROM dead_letters WHERE job_id = :job", job=job_id)
    return job_id


def test_users(start: StartService, operator: Operator) -> None:
    phone = start().phone()
    job_id = phone.created_job(2)
    shown = operator.told("users", "show", phone.user_id)
    assert shown["profile"]["credits"] == 8
    assert shown["open_jobs"] == [job_id]
    assert [row["amount"] for row in shown["ledger"]] == [10, -2]
    granted = operator.told("users", "grant", phone.user_id, "5")
    assert granted["profile"]["credits"] == phone.credits() == 13
    assert granted["ledger"][-1]["kind"] == "adjust"
    assert "cannot fall below 0" in operator.refused("users", "grant", phone.user_id, "-14")
    assert operator.told("users", "plan", phone.user_id, "pro")["profile"]["plan"] == "pro"
    assert phone.data("GET", "/me")["concurrent_jobs"] == 3
    assert "no such user" in operator.refused("users", "show", "user_nobody")
    assert "invalid choice" in operator.refused("users", "plan", phone.user_id, "gold")


def test_a_job_s_whole_history(start: StartService, operator: Operator) -> None:
    service = start(intervals=EAGER)
    job_id = lost_job(service, service.phone(), 3)
    history = operator.told("jobs", "show", job_id)
    assert history["job"]["status"] == "done"
    assert [item["status"] for item in history["items"]] == ["done", "failed", "failed"]
    (attempt,) = history["attempts"]
    assert (attempt["attempt"], attempt["state"], attempt["last_error"]) == (1, "ended", "failed")
    assert [row["amount"] for row in history["money"]] == [-3, 2]
    assert history["dead_letters"][0]["indices"] == [1, 2]
    assert "no such job" in operator.refused("jobs", "show", "job_nobody")


def test_a_dead_letter_is_replayed_as_a_new_job(
    start: StartService, operator: Operator, objects: ObjectStore
) -> None:
    service = start(intervals=EAGER)
    phone = service.phone()
    old = lost_job(service, phone, 3)
    before = phone.job(old)
    (letter,) = operator.told("dead-letters", "list")
    assert (letter["job_id"], letter["indices"], letter["code"]) == (old, [1, 2], "WORKER_LOST")
    shown = operator.told("dead-letters", "show", letter["id"])
    assert shown["history"]["job"]["id"] == old
    new = operator.told("dead-letters", "replay", letter["id"])["job"]["id"]
    message = service.runpod.wait_for_run(new)
    assert [item["idx"] for item in message["items"]] == [0, 1]
    assert message["concepts"] == service.runpod.wait_for_run(old)["concepts"]
    for item in message["items"]:
        assert objects.get(item["input_key"], max_bytes=1000)
    worker = service.worker(new)
    assert worker.processed(0)
    assert worker.processed(1)
    assert phone.job(new)["status"] == "done"
    assert phone.job(old) == before
    assert phone.credits() == 10 - 1 - 2
    assert "was replayed before" in operator.refused("dead-letters", "replay", letter["id"])
    assert operator.told("dead-letters", "list") == []
    (kept,) = operator.told("dead-letters", "list", "--state", "any")
    assert (kept["state"], kept["replayed_as"]) == ("replayed", new)


def test_a_replay_may_be_free(start: StartService, operator: Operator) -> None:
    service = start(intervals=EAGER)
    phone = service.phone()
    lost_job(service, phone, 2)
    operator.told("users", "grant", phone.user_id, f"-{phone.credits()}")
    (letter,) = operator.told("dead-letters", "list")
    assert "needs 1 credits" in operator.refused("dead-letters", "replay", letter["id"])
    operator.told("dead-letters", "replay", letter["id"], "--free")
    assert phone.credits() == 0


def test_a_replay_needs_its_photos(
    start: StartService, operator: Operator, objects: ObjectStore
) -> None:
    service = start(intervals=EAGER)
    phone = service.phone()
    old = lost_job(service, phone, 2)
    objects.delete([f"inputs/{phone.user_id}/{old}/1.jpg"])
    (letter,) = operator.told("dead-letters", "list")
    assert "photos were deleted" in operator.refused("dead-letters", "replay", letter["id"])
    (again,) = operator.told("dead-letters", "list")
    assert again["state"] == "open"


def test_a_dead_letter_is_dropped(start: StartService, operator: Operator) -> None:
    service = start(intervals=EAGER)
    lost_job(service, service.phone())
    (letter,) = operator.told("dead-letters", "list")
    assert operator.told("dead-letters", "drop", letter["id"])["letter"]["state"] == "dropped"
    assert "was dropped before" in operator.refused("dead-letters", "drop", letter["id"])
    assert "no such dead letter" in operator.refused("dead-letters", "drop", "letter_nobody")


def test_the_ledger_is_checked(start: StartService, operator: Operator) -> None:
    service = start(intervals=EAGER)
    phone = service.phone()
    phone.created_job(2)
    assert operator.told("ledger") == {"drifting": []}
    service.change("UPDATE users SET credits = credits + 1")
    code, out, _ = operator.type("ledger")
    assert code == 1
    assert json.loads(out)["drifting"] == [{"user_id": phone.user_id, "balance": 9, "ledger": 8}]
    service.change("UPDATE users SET credits = credits - 1")


def test_reconciling_now_looks_at_everything(start: StartService, operator: Operator) -> None:
    service = start()
    job_id = service.phone().queued_job(1)
    service.wait_until(
        "SELECT id FROM dispatches WHERE job_id = :job AND state = 'submitted'", job=job_id
    )
    service.change("UPDATE dispatches SET next_at = next_at + 1000")
    # Nobody listens at the endpoint's address: the look is logged, and the row waits again.
    assert operator.told("reconcile") == {"looked_at": 1}
    (row,) = service.rows("SELECT next_at FROM dispatches")
    assert row["next_at"] < rows.FOREVER


def test_it_is_a_command_of_the_service(store: ServedStore, database_url: str) -> None:
    command = [sys.executable, "-m", "edge_api", "admin", "ledger"]
    variables = {**os.environ, **environment(store, database_url)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"drifting": []})
