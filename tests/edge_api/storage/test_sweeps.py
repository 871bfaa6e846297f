"""What waits to be deleted: counted while it is there, due when it should be gone."""

import pytest
from sqlalchemy import Connection, text

from edge_api.services.erasure import begin_erasure
from edge_api.services.jobs import cancel_owned_job
from edge_api.storage.erasures import end_erasure
from edge_api.storage.jobs import Purge, record_purged
from edge_api.storage.sweeps import Pending, read_sweeps
from tests.edge_api import rows
from tests.edge_api.rows import NOW

KEPT = {Purge.INPUTS: 100.0, Purge.RESULTS: 1000.0}
NONE = Pending(0, None)


def ended(connection: Connection, after: float) -> str:
    """A job that was cancelled so many seconds after NOW."""
    user = rows.new_user(connection)
    job_id = rows.created(connection, user)
    cancel_owned_job(connection, user, job_id, NOW + after)
    return job_id


def test_nothing_waits_at_first(connection: Connection) -> None:
    rows.created(connection, rows.new_user(connection))
    expected = {"accounts": NONE, "inputs": NONE, "results": NONE}
    assert read_sweeps(connection, KEPT, NOW + 1e6) == expected
    assert read_sweeps(connection, {}, NOW) == {"accounts": NONE}


def test_an_erased_account_waits_until_no_worker_can_store_for_it(connection: Connection) -> None:
    first = begin_erasure(connection, rows.new_user(connection), NOW, NOW + 50)
    begin_erasure(connection, rows.new_user(connection), NOW, NOW + 70)
    assert read_sweeps(connection, {}, NOW)["accounts"] == Pending(2, NOW + 50)
    end_erasure(connection, first.id)
    assert read_sweeps(connection, {}, NOW)["accounts"] == Pending(1, NOW + 70)


@pytest.mark.parametrize(("age", "waiting"), [(99.0, 0), (101.0, 1), (131.0, 2)])
def test_what_was_kept_for_long_enough_is_due(
    connection: Connection, age: float, waiting: int
) -> None:
    ended(connection, 0.0)
    ended(connection, 30.0)
    found = read_sweeps(connection, KEPT, NOW + age)
    assert found["inputs"] == (Pending(waiting, NOW + 100.0) if waiting else NONE)
    assert found["results"] == NONE


def test_what_was_deleted_waits_no_more(connection: Connection) -> None:
    first, second = ended(connection, 0.0), ended(connection, 30.0)
    record_purged(connection, Purge.INPUTS, first, NOW + 2000)
    found = read_sweeps(connection, KEPT, NOW + 2000)
    assert found["inputs"] == Pending(1, NOW + 130.0)
    assert found["results"] == Pending(2, NOW + 1000.0)
    record_purged(connection, Purge.INPUTS, second, NOW + 2000)
    assert read_sweeps(connection, KEPT, NOW + 2000)["inputs"] == NONE
    assert connection.execute(text("SELECT COUNT(*) FROM jobs")).scalar_one() == 2
