"""A PostgreSQL of the tests' own: a cluster in a temporary folder, on loopback, gone at the end.

The binaries are the machine's; where there are none, Debian's package is unpacked into
`.postgres` beside the code, which installs nothing.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
from msgspec import Struct
from psycopg import sql

HOME = Path(__file__).parent.parent / ".postgres"
PATIENCE = 30.0
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "250",
    "shared_buffers": "32MB",
    "deadlock_timeout": "100ms",
}
_CARELESS = {
    # Only a crash of the machine would lose anything; kill -9 does not.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


class Owner(Struct, frozen=True):
    """Who the server runs as; None where it is whoever runs the tests."""

    uid: int | None = None
    gid: int | None = None


class PostgresServer(Struct, frozen=True):
    """`postgresql://` addresses of databases on one running server."""

    port: int
    user: str

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str | None = None) -> str:
        """The address of a new database, empty or a copy of `template`."""
        name = f"db_{uuid4().hex}"
        copied = (
            sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        )
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + copied)
        return self.url(name)

    def drop(self, url: str) -> None:
        name = sql.Identifier(url.rpartition("/")[2])
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


@contextmanager
def run_postgres(*, durable: bool = False) -> Generator[PostgresServer]:
    """A server for as long as the context lasts; `durable` keeps fsync on, for measurements."""
    binaries = find_binaries()
    owner = _owner()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if owner.uid is not None:
            os.chown(folder, owner.uid, owner.gid or -1)
        data = folder / "data"
        user = "tester"
        _run(
            binaries,
            owner,
            "initdb",
            "-D",
            str(data),
            "-U",
            user,
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
        )
        with _serving(binaries, owner, data, durable=durable) as port:
            yield PostgresServer(port, user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(binaries: Path, owner: Owner, data: Path, *, durable: bool) -> Generator[int]:
    port = _free_port()
    options = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
    options += [] if durable else [f"-c{name}={value}" for name, value in _CARELESS.items()]
    command = [
        str(binaries / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(data),
        *options,
    ]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=data.parent,
            env=_environment(binaries),
            user=owner.uid,
            group=owner.gid,
        )
    try:
        _wait(process, port, data.parent / "log")
        yield port
    finally:
        process.send_signal(signal.SIGQUIT)  # immediate: the folder is thrown away
        process.wait(PATIENCE)


def find_binaries() -> Path:
    """The folder with initdb and postgres: the newest version there is, or Debian's, unpacked."""
    found = _installed()
    if found is None:
        _unpack()
        found = _installed()
    if found is None:
        raise RuntimeError("no PostgreSQL: install Debian's postgresql package, or put it on PATH")
    return found


def _installed() -> Path | None:
    roots = (Path("/usr/lib/postgresql"), HOME / "usr/lib/postgresql", Path("/opt/homebrew/opt"))
    folders = [folder for root in roots for folder in sorted(root.glob("*/bin"), reverse=True)]
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _unpack() -> None:
    """Debian's packages without installing them: the server and the libraries it links."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return
    server = next(name for name in _depends("postgresql") if name.startswith("postgresql-"))
    # The client's package has pg_dump.
    linked = ("lib", "postgresql-client-")
    wanted = [server, *(name for name in _depends(server) if name.startswith(linked))]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", *wanted], cwd=folder, check=True)
        for package in sorted(Path(folder).glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(HOME)], check=True)


def _depends(package: str) -> list[str]:
    listed = subprocess.run(
        ["apt-cache", "depends", "--important", package], capture_output=True, text=True, check=True
    )
    lines = (line.strip(" |") for line in listed.stdout.splitlines())
    return [line.removeprefix("Depends: ") for line in lines if line.startswith("Depends: ")]


def _owner() -> Owner:
    """Whoever runs the tests, but for root: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return Owner()
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return Owner(found.pw_uid, found.pw_gid)
    raise RuntimeError("root cannot run PostgreSQL, and there is no user postgres or nobody")


def _environment(binaries: Path) -> dict[str, str]:
    libraries = [str(HOME / "usr/lib" / f"{os.uname().machine}-linux-gnu")]
    ours = HOME in binaries.parents
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"} | (
        {"LD_LIBRARY_PATH": ":".join(libraries)} if ours else {}
    )


def _run(binaries: Path, owner: Owner, tool: str, *arguments: str) -> None:
    cwd = Path(arguments[1]).parent
    done = subprocess.run(
        [str(binaries / tool), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env=_environment(binaries),
        user=owner.uid,
        group=owner.gid,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{tool}: {done.stderr or done.stdout}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(f"postgresql://tester@127.0.0.1:{port}/postgres").close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
        time.sleep(0.05)


if __name__ == "__main__":
    print(find_binaries())
