"""Where the parts of one stack live: its folder, its addresses, its keys."""

from pathlib import Path

from msgspec import Struct, structs

from infra.local.ports import free_port, wait_free
from infra.local.secret_store import LocalSecrets, keep_secrets, load_secrets

ENDPOINT_ID = "palette-local"
BUCKET = "s3-images"
LOOPBACK = "127.0.0.1"
# What a stack that was just killed needs to let go of its ports.
PORT_PATIENCE_S = 2.0
WILDCARDS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - refused, not bound


class UnusableAddress(Exception):
    """The host or port asked for cannot be had; the text is one line for a person."""


class Site(Struct, frozen=True, kw_only=True):
    """`host` stands in signed URLs and callbacks; the emulator never leaves the loopback."""

    data_dir: Path
    host: str
    api_port: int
    store_port: int
    runpod_port: int
    secrets: LocalSecrets

    @property
    def api_url(self) -> str:
        return f"http://{_in_url(self.host)}:{self.api_port}"

    @property
    def store_url(self) -> str:
        return f"http://{_in_url(self.host)}:{self.store_port}"

    @property
    def runpod_url(self) -> str:
        return f"http://{LOOPBACK}:{self.runpod_port}"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"


def choose_site(data_dir: Path, host: str, port: int) -> Site:
    """Settle every address. Port 0 takes a free one; the store port of an earlier run is kept
    where it can be had. `data_dir` must exist. Raises UnusableAddress, UnreadableSecrets."""
    _check_address(host, port)
    secrets = load_secrets(data_dir)
    store_port = secrets.store_port
    if store_port in (0, port) or not wait_free(host, store_port, PORT_PATIENCE_S):
        store_port = _another_port(host, port)
    secrets = structs.replace(secrets, store_port=store_port)
    keep_secrets(data_dir, secrets)
    api_port = port or _another_port(host, store_port)
    return Site(
        data_dir=data_dir,
        host=host,
        api_port=api_port,
        store_port=store_port,
        runpod_port=_another_port(LOOPBACK, store_port, api_port),
        secrets=secrets,
    )


def _check_address(host: str, port: int) -> None:
    if host in WILDCARDS:
        raise UnusableAddress("host: name this machine's own address; signed URLs will carry it")
    if not 0 <= port <= 65_535:
        raise UnusableAddress(f"port {port} is not in 0..65535")
    try:
        free = port == 0 or wait_free(host, port, PORT_PATIENCE_S)
    except OSError as error:
        raise UnusableAddress(f"cannot listen on {host}: {error.strerror}") from error
    if not free:
        raise UnusableAddress(f"port {port} on {host} is already in use; choose another")


def _another_port(host: str, *taken: int) -> int:
    while (port := free_port(host)) in taken:
        pass
    return port


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
