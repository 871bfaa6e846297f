"""Which TCP ports are free on this machine."""

import errno
import random
import socket
import time

# Below what Linux and macOS hand out to outgoing connections, so that no client of ours takes a
# port between its choice here and its use by a child.
LOWEST = 20_000
HIGHEST = 32_000
TRIES = 200
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES})


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises OSError where `host` is not this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
    return True


def free_port(host: str) -> int:
    """A random one, so that two stacks that start together rarely choose the same."""
    for _ in range(TRIES):
        port = random.randrange(LOWEST, HIGHEST)  # noqa: S311 - no secret
        if is_free(host, port):
            return port
    raise RuntimeError(f"no free port on {host} in {LOWEST}..{HIGHEST}")


def wait_free(host: str, port: int, patience: float) -> bool:
    """Whether the port is free, or becomes so within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not is_free(host, port):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True
