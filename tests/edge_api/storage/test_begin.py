"""The first sign of work of an attempt is told once."""

import pytest
from sqlalchemy import Connection, text

from edge_api.storage.dispatches import begin
from tests.edge_api import rows
from tests.edge_api.rows import NOW


def test_only_the_first_sign_is_told(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection)
    assert begin(connection, dispatch.id, NOW + 40) == 40.0
    assert begin(connection, dispatch.id, NOW + 50) is None
    assert rows.newest(connection, job_id).begun_at == NOW + 40


def test_a_clock_that_is_behind_makes_no_time_negative(connection: Connection) -> None:
    _, dispatch = rows.submitted(connection)
    assert begin(connection, dispatch.id, NOW - 3) == 0.0


@pytest.mark.parametrize("state", ["superseded", "ended", "canceling"])
def test_what_is_over_does_not_begin(connection: Connection, state: str) -> None:
    job_id, dispatch = rows.submitted(connection)
    connection.execute(text("UPDATE dispatches SET state = :state"), {"state": state})
    assert begin(connection, dispatch.id, NOW + 40) is None
    assert rows.newest(connection, job_id).begun_at is None
    connection.execute(text("UPDATE dispatches SET state = 'submitted'"))  # for the books


def test_nobody_knows_when_it_was_taken(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection)
    connection.execute(text("UPDATE dispatches SET submitted_at = NULL"))
    assert begin(connection, dispatch.id, NOW + 40) is None
    assert rows.newest(connection, job_id).begun_at == NOW + 40
