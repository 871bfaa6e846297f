"""An older version on the database of a newer one: it starts, and what it writes is taken."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from edge_api.storage.migrate import MIGRATIONS, configuration, upgrade
from tests.edge_api.conftest import Launch, MakeDatabase
from tests.edge_api.phone import Phone
from tests.edge_api.service import open_engine
from tests.edge_api.storage.test_tables import ROWS, insert

NEWER = "of_a_newer_version"

REVISIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]

ALLOWED = {
    # Before these tables came nobody deleted a user.
    ("idempotency_keys", "users"),
    ("dead_letters", "jobs"),
    ("dead_letters", "dispatches"),
}
"""What keeps an older version from deleting rows that a newer table points to."""

SAMPLES: Mapping[str, Mapping[str, object]] = {
    **ROWS,
    "granted_devices": {"digest": "d", "granted_at": 1.0},
    "rate_limits": {"key": "k", "arrival": 1.0},
    "erasures": {
        "id": "erasure_x", "user_id": "user_gone", "runpod_jobs": "[]", "erased": "{}",
        "objects": 0, "next_at": 1.0, "until": 1.0, "created_at": 1.0,
    },
    "queue_workers": {"name": "w", "seen_at": 1.0},
    "queued_jobs": {
        "id": "queued_x", "dispatch_id": "dispatch_x", "user_id": "user_x", "state": "IN_QUEUE",
        "payload": "{}", "execution_seconds": 1.0, "expires_at": 2.0, "created_at": 1.0,
    },
}  # fmt: skip


def stamp(connection: Connection, revision: str) -> None:
    query = text("UPDATE alembic_version SET version_num = :revision")
    connection.execute(query, {"revision": revision})


def stamped(connection: Connection) -> str:
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def test_a_database_of_a_newer_version_is_left_as_it_is(
    make_database: MakeDatabase, database_kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = make_database(database_kind)
    engine = open_engine(url)
    with engine.begin() as connection:
        stamp(connection, NEWER)
    upgrade(url)
    with engine.begin() as connection:
        assert stamped(connection) == NEWER
    engine.dispose()
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (line.name, line.getMessage()) == (
        "edge_api.storage.migrate",
        "schema of a newer version",
    )
    assert vars(line)["revision"] == NEWER


def test_the_service_starts_on_it_works_and_says_so(
    launch: Launch, make_database: MakeDatabase, database_kind: str
) -> None:
    url = make_database(database_kind)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN of_tomorrow INTEGER"))
        stamp(connection, NEWER)
    engine.dispose()
    with launch(url) as service:
        phone: Phone = service.phone()
        worker = service.worker(phone.queued_job(1))
        assert worker.processed(0)
        response = service.api.get("/health/ready")
        assert response.status_code == 200
        assert response.json()["data"]["checks"]["schema"] == "ahead"
        service.assert_balanced()


def columns(connection: Connection) -> dict[str, dict[str, Any]]:
    inspector = inspect(connection)
    return {
        table: {str(column["name"]): column for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def restricting(connection: Connection, known: Collection[str]) -> set[tuple[str, str]]:
    """Tables that are not `known`, each with one that is and whose rows it keeps from going."""
    inspector = inspect(connection)
    return {
        (table, key["referred_table"])
        for table in inspector.get_table_names()
        for key in inspector.get_foreign_keys(table)
        if table not in known
        and key["referred_table"] in known
        and key.get("options", {}).get("ondelete") not in {"CASCADE", "SET NULL"}
    }


@pytest.mark.parametrize("before", REVISIONS[:-1])
def test_migrations_only_add(make_empty: MakeDatabase, database_kind: str, before: str) -> None:
    """What an older version reads is there, and what it writes is taken: rows with the columns
    that it knows. It can also take them away again."""
    url = make_empty(database_kind)
    command.upgrade(configuration(url), before)
    engine = open_engine(url)
    with engine.connect() as connection:
        known = columns(connection)
    assert known.keys() <= SAMPLES.keys(), "each table has a row in SAMPLES"
    command.upgrade(configuration(url), "head")
    with engine.begin() as connection:
        found = columns(connection)
        for table, old in known.items():
            assert old.keys() <= found[table].keys(), table
            for name in found[table].keys() - old.keys():
                column = found[table][name]
                assert column["nullable"] or column["default"] is not None, (table, name)
        assert restricting(connection, known) <= ALLOWED
        written = [table for table in SAMPLES if table in known]
        for table in written:
            row = SAMPLES[table]
            insert(connection, table, {name: row[name] for name in row if name in known[table]})
        for table in reversed(written):
            assert connection.execute(text(f"DELETE FROM {table}")).rowcount == 1
    engine.dispose()
