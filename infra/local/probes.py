"""Whether a server is there, asked from outside."""

import socket

import httpx

TIMEOUT_S = 5.0


def is_listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S):
            return True
    except OSError:
        return False


def answers_ok(url: str) -> bool:
    """200, and nothing else, to a GET."""
    try:
        return httpx.get(url, timeout=TIMEOUT_S, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
