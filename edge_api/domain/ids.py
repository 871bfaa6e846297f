"""Identifiers that sort by the time of their making."""

import secrets
import time


def new_id(prefix: str) -> str:
    """`{prefix}_` + 48 bits of milliseconds + 80 random bits in hex: unique, sortable, URL-safe."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
