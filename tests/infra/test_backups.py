"""The commands of docs/backups.md, run as they stand there, against databases with accounts."""

import os
import shutil
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from edge_api.__main__ import main
from edge_api.asgi import create_app
from edge_api.settings import Settings
from tests.edge_api.books import assert_books_balance
from tests.edge_api.phone import Phone
from tests.edge_api.service import open_engine
from tests.postgres import find_binaries, run_postgres

PAGE = Path(__file__).resolve().parents[2] / "docs" / "backups.md"


def commands(heading: str, number: int = 0) -> str:
    """The indented block of that number below a heading."""
    section = PAGE.read_text().split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    blocks, block = list[str](), list[str]()
    for line in [*section.splitlines(), "end"]:
        if line.startswith("    "):
            block.append(line.removeprefix("    "))
        elif block and line:
            blocks.append("\n".join(block))
            block = []
    return blocks[number]


def run(script: str, **environ: str) -> None:
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{script}\n{ended.stdout}{ended.stderr}"


def settings(database_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "JWT_SECRET": "jwt-secret-" + "j" * 32,
        "GPU_CALLBACK_SECRET": "callback-secret-" + "c" * 32,
        "R2_ENDPOINT_URL": "http://bucket.test",
        "R2_ACCESS_KEY_ID": "key",
        "R2_SECRET_ACCESS_KEY": "secret",
        "RUNPOD_BASE_URL": "http://runpod.test/v2",
        "RUNPOD_API_KEY": "key",
        "RUNPOD_ENDPOINT_ID": "endpoint1",
        "PUBLIC_URL": "http://api.test",
        "SIGNUPS_PER_HOUR": "0",
        "CALLS_PER_MINUTE": "0",
    }


@contextmanager
def service(database_url: str) -> Generator[httpx.Client]:
    with TestClient(create_app(Settings.from_env(settings(database_url)))) as api:
        yield api


def customer(api: httpx.Client) -> Phone:
    """An account that has paid for a job of three photos."""
    phone = Phone(api).sign_up()
    phone.data("POST", "/jobs", {"preset": "interior", "item_count": 3})
    return phone


def assert_restored(url: str, phone: Phone, later: Phone, patch: pytest.MonkeyPatch) -> None:
    """The steps of `Afterwards`; then a phone from before the backup goes on, and no later one."""
    for name, value in settings(url).items():
        patch.setenv(name, value)
    for line in commands("Afterwards").splitlines():
        assert line.startswith("python -m edge_api ")
        assert main(line.split()[3:]) == 0
    engine = open_engine(url)
    with engine.connect() as connection:
        assert_books_balance(connection)
    engine.dispose()
    with service(url) as api:
        again = Phone(api, phone.token, phone.user_id)
        assert again.data("GET", "/me")["credits"] == 7
        assert len(again.data("GET", "/jobs")) == 1
        assert Phone(api, later.token).call("GET", "/me").status_code == 401


def test_a_dump_of_postgresql_is_restored_into_a_new_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = find_binaries()
    if not (binaries / "pg_dump").exists():
        pytest.skip("PostgreSQL's server is here, its client programs are not")
    backup = str(tmp_path / "palette.dump")
    path = f"{binaries}:{os.environ['PATH']}"
    with run_postgres() as server:
        url = server.create()
        with service(url) as api:
            phone = customer(api)
            run(commands("PostgreSQL"), DATABASE_URL=url, BACKUP=backup, PATH=path)
            later = customer(api)
        restored = server.url("restored")
        restore = commands("Restoring PostgreSQL")
        urls = {"SERVER_URL": server.url("postgres"), "RESTORED_URL": restored}
        run(restore, BACKUP=backup, PATH=path, **urls)
        assert_restored(restored, phone, later, monkeypatch)


def test_a_copy_of_sqlite_is_restored_over_the_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is made while another thread writes."""
    database, backup, aside = (tmp_path / name for name in ("edge.db", "copy.db", "aside"))
    paths = {"DATABASE": str(database), "BACKUP": str(backup), "ASIDE": str(aside)}
    url = f"sqlite:///{database}"
    with service(url) as api:
        phone = customer(api)
        with busy(api):
            run(commands("SQLite"), **paths)
        later = customer(api)
    damage(database)
    run(commands("Restoring SQLite"), **paths)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["aside", "copy.db", "edge.db"]
    assert (aside / "edge.db").stat().st_size > 0
    assert_restored(url, phone, later, monkeypatch)


@contextmanager
def busy(api: httpx.Client) -> Generator[None]:
    """Accounts are opened all the while; at least one before and one after."""
    stop, opened = threading.Event(), threading.Semaphore(0)

    def write() -> None:
        while not stop.is_set():
            Phone(api).sign_up()
            opened.release()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        opened.acquire()
        yield
    finally:
        stop.set()
        thread.join()


def damage(database: Path) -> None:
    """Half of it is gone, and a log of another database lies beside."""
    os.truncate(database, database.stat().st_size // 2)
    shutil.copyfile(database, database.with_name("edge.db-wal"))
