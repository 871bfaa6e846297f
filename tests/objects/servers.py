"""A server under test, with our own clients of it."""

import os
import secrets
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import cached_property
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from infra.local.store import ServedStore, serve_store
from shared.objects import ObjectStore
from shared.presign import Presigner
from tests.objects.boto import boto_of
from tests.objects.swift_environment import NotMade, swift_python
from tests.objects.swift_server import missing_feature, serve_swift

if TYPE_CHECKING:  # the stubs are a tool of `make check`
    from types_boto3_s3.client import S3Client

R2_SETTINGS = {
    part: f"R2_CONFORMANCE_{part.upper()}"
    for part in ("endpoint", "access_key", "secret_key", "bucket")
}
"""Where the tests find a bucket of R2: what they write there they remove."""

RUN = f"conformance-{secrets.token_hex(6)}/"
"""What all keys of this run begin with."""


class Server:
    """`name` is `embedded`, `swift` or `r2`; the rest opens it."""

    def __init__(self, name: str, served: ServedStore) -> None:
        self.name = name
        self.served = served
        self.store = self.store_with()
        self.signer = self.signer_with()
        # A proxy of the environment could not reach this machine's own loopback.
        self.http = httpx.Client(timeout=60, trust_env=name == "r2")

    @cached_property
    def boto(self) -> "S3Client":
        return boto_of(self.served)

    def store_with(self, **changed: str) -> ObjectStore:
        return ObjectStore(**{**self._access(), **changed})

    def signer_with(self, **changed: str) -> Presigner:
        access = {**self._access(), **changed}
        return Presigner(
            access["endpoint"],
            access["bucket"],
            access["access_key"],
            access["secret_key"],
            access.get("region", "auto"),
        )

    def url(self, method: str, key: str, *, signed_at: int | None = None, lasts: int = 300) -> str:
        now = int(time.time()) if signed_at is None else signed_at
        return self.signer.presign(method, key, signed_at=now, expires_in=lasts)

    def connection(self) -> "closing[HTTPConnection]":
        """A connection on which nothing is sent by itself but the host."""
        parts = urlsplit(self.served.endpoint)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return closing(kind(parts.netloc, timeout=60))

    def put_over(self, url: str, body: bytes) -> None:
        """PUT; again where the server takes but one write a second for a key, as R2 does."""
        put = self.http.put(url, content=body)
        while put.status_code == 429:
            time.sleep(0.5)
            put = self.http.put(url, content=body)
        assert put.status_code == 200

    def _access(self) -> dict[str, str]:
        return {
            "endpoint": self.served.endpoint,
            "bucket": self.served.bucket,
            "access_key": self.served.access_key,
            "secret_key": self.served.secret_key,
        }


@contextmanager
def opened(name: str, served: ServedStore) -> Generator[Server]:
    server = Server(name, served)
    with server.http:
        yield server


@contextmanager
def embedded(folder: Path) -> Generator[Server]:
    with serve_store(folder) as served, opened("embedded", served) as server:
        yield server


@contextmanager
def swift(folder: Path) -> Generator[Server]:
    """Skips where Swift cannot run here."""
    if reason := missing_feature(folder):
        pytest.skip(reason)
    try:
        python = swift_python()
    except NotMade as error:
        pytest.skip(f"Swift's environment could not be made: {error}")
    with serve_swift(folder, python) as served, opened("swift", served) as server:
        yield server


def r2_missing() -> list[str]:
    """The variables that still have to be set for a run against R2."""
    return [name for name in R2_SETTINGS.values() if not os.environ.get(name)]


@contextmanager
def r2() -> Generator[Server]:
    """The bucket that the environment names. What the run wrote is gone afterwards."""
    served = ServedStore(**{part: os.environ[name] for part, name in R2_SETTINGS.items()})
    with opened("r2", served) as server:
        try:
            yield server
        finally:
            server.store.delete([info.key for info in server.store.list(RUN)])
