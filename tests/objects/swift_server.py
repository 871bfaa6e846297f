"""OpenStack Swift with its S3 API as four child processes: a real S3 server on loopback."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from infra.local.logs import tail
from infra.local.processes import Child, Command
from infra.local.store import ServedStore
from tests.objects.boto import boto_of
from tests.objects.swift_configuration import (
    ACCESS_KEY,
    BUILD_RINGS,
    SERVERS,
    Site,
    write_configuration,
)

_HOST = "127.0.0.1"
_BUCKET = "s3-images"
_START_SECONDS = 60.0


class NotStarted(Exception):
    """Swift did not come up; the text ends with what it logged last."""


def missing_feature(folder: Path) -> str | None:
    """Why Swift cannot keep its objects in this folder; None where it can."""
    if not hasattr(os, "setxattr"):
        return "Swift's object server needs Linux"
    probe = folder / "xattr-probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.probe", b"1")
    except OSError as error:
        return f"Swift needs a file system with user xattrs at {folder}: {error.strerror}"
    finally:
        probe.unlink()
    return None


@contextmanager
def serve_swift(folder: Path, python: Path) -> Generator[ServedStore]:
    """Swift in an empty `folder`, run by the interpreter `python`, until the context ends.

    Its logs lie under `logs`. Every process is killed at the end, also when this one is killed.
    Raises NotStarted.
    """
    with ExitStack() as stack:
        ports = {name: stack.enter_context(_held_port()) for name in SERVERS}
        site = Site(folder, ports, secrets.token_hex(32))
        write_configuration(site)
        _build_rings(site, python)
        children: list[Child] = []
        for name in SERVERS:
            children.append(Child(_command(site, name, python), site.log(name)))
            stack.callback(children[-1].kill)
        _wait_until_ready(site, children)
        served = ServedStore(
            f"http://{_HOST}:{ports['proxy']}", _BUCKET, ACCESS_KEY, site.secret_key
        )
        boto_of(served).create_bucket(Bucket=served.bucket)
        yield served


@contextmanager
def _held_port() -> Generator[int]:
    """A free port that nobody but Swift can take: Swift listens with SO_REUSEPORT, which lets it
    share the port with this socket, and this one never listens."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((_HOST, 0))
        yield holder.getsockname()[1]


def _build_rings(site: Site, python: Path) -> None:
    command = [str(python), "-c", BUILD_RINGS, *site.ring_arguments()]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0:
        raise NotStarted(f"no rings: {done.stderr.strip()}")


def _command(site: Site, name: str, python: Path) -> Command:
    script = python.with_name(f"swift-{name}-server")
    argv = (str(python), str(script), str(site.configuration(name)), "--verbose")
    return Command(name=f"swift-{name}", argv=argv, env=_environment())


def _environment() -> dict[str, str]:
    # Swift asks no name server for 127.0.0.1.
    return {"PATH": os.environ.get("PATH", os.defpath), "EVENTLET_NO_GREENDNS": "yes"}


def _wait_until_ready(site: Site, children: Sequence[Child]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    for name, child in zip(SERVERS, children, strict=True):
        while not _is_healthy(site.ports[name]):
            if child.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{child.name} does not answer: {tail(child.log_path, 20)}")
            time.sleep(0.05)


def _is_healthy(port: int) -> bool:
    try:
        with closing(HTTPConnection(_HOST, port, timeout=5)) as connection:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
