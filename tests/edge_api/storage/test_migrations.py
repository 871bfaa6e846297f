"""The migrations lead to exactly the tables that the code knows, and back."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    CheckConstraint,
    Connection,
    Engine,
    Table,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError

from edge_api.storage.migrate import configuration, upgrade
from edge_api.storage.tables import metadata
from tests.edge_api.conftest import MakeDatabase
from tests.edge_api.service import open_engine

TABLES = sorted(metadata.tables)


def shape(connection: Connection) -> dict[str, object]:
    """Columns, keys, indices and checks of every table, as the database has them."""
    inspector = inspect(connection)
    return {
        name: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)
            ],
            "primary": inspector.get_pk_constraint(name)["constrained_columns"],
            "foreign": sorted(
                (tuple(f["constrained_columns"]), f["referred_table"])
                for f in inspector.get_foreign_keys(name)
            ),
            "unique": sorted(
                (str(u["name"]), tuple(u["column_names"]))
                for u in inspector.get_unique_constraints(name)
            ),
            "indices": sorted(
                (str(i["name"]), tuple(i["column_names"])) for i in inspector.get_indexes(name)
            ),
            "checks": sorted(
                (str(c["name"]), " ".join(c["sqltext"].split()))
                for c in inspector.get_check_constraints(name)
            ),
        }
        for name in sorted(inspector.get_table_names())
        if name != "alembic_version"
    }


@pytest.fixture
def fresh(make_empty: MakeDatabase, database_kind: str) -> str:
    return make_empty(database_kind)


def test_the_migrated_schema_is_the_one_of_the_code(engine: Engine, fresh: str) -> None:
    """`create_all` on one side, the migrations on the other: CHECKs included."""
    direct = open_engine(fresh)
    metadata.create_all(direct)
    with direct.connect() as expected, engine.connect() as migrated:
        assert shape(migrated) == shape(expected)
    direct.dispose()


def test_alembic_finds_nothing_to_migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_alembic_check_is_clean(database_url: str) -> None:
    command.check(configuration(database_url))


def test_there_is_one_head(database_url: str) -> None:
    assert len(ScriptDirectory.from_config(configuration(database_url)).get_heads()) == 1


def test_upgrading_again_changes_nothing(database_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO users VALUES ('u', NULL, 'free', 0, 0, 0, 1.0)"))
        before = shape(connection)
    upgrade(database_url)
    with engine.begin() as connection:
        assert shape(connection) == before
        assert connection.execute(text("SELECT id FROM users")).scalars().all() == ["u"]


def test_down_and_up_again(fresh: str) -> None:
    config = configuration(fresh)
    command.upgrade(config, "head")
    engine = open_engine(fresh)
    with engine.connect() as connection:
        before = shape(connection)
    command.downgrade(config, "base")
    with engine.connect() as connection:
        assert shape(connection) == {}
    command.upgrade(config, "head")
    with engine.connect() as connection:
        assert shape(connection) == before
    engine.dispose()


def test_a_path_with_a_percent_sign(tmp_path: Path) -> None:
    folder = tmp_path / "100%"
    folder.mkdir()
    upgrade(f"sqlite:///{folder / 'edge.db'}")
    assert (folder / "edge.db").exists()


def test_a_migration_that_fails_leaves_nothing_behind(fresh: str) -> None:
    engine = open_engine(fresh)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE dispatches (in_the_way INTEGER)"))
    with pytest.raises(DBAPIError, match="already exists"):
        upgrade(fresh)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["dispatches"]
        connection.execute(text("DROP TABLE dispatches"))
    upgrade(fresh)
    with engine.connect() as connection:
        assert sorted(shape(connection)) == TABLES
    engine.dispose()


def test_processes_that_start_at_once_migrate_once(fresh: str) -> None:
    code = "import sys; from edge_api.storage.migrate import upgrade; upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, fresh], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    engine = open_engine(fresh)
    with engine.connect() as connection:
        assert sorted(shape(connection)) == TABLES
    engine.dispose()


@pytest.mark.parametrize("name", TABLES)
def test_every_check_stands_at_table_level_with_a_name(name: str) -> None:
    table: Table = metadata.tables[name]
    checks = [c for c in table.constraints if isinstance(c, CheckConstraint)]
    assert all(check.name for check in checks)
