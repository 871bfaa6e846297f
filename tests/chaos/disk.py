"""A disk without space, for one running process and without any privilege.

RLIMIT_FSIZE makes every write fail that would take a file past the limit (EFBIG, where a full disk
says ENOSPC; both are an OSError, and SQLite's I/O error). It covers object bytes that end half
written, the store's index, and a database's pages and log. It does not cover a folder entry or a
rename that fails. Linux alone can set it from outside.
"""

import resource
import sys
from contextlib import suppress

FEASIBLE = sys.platform == "linux"
SMALL = 300
"""Bytes: a photo of ours is longer."""


def fill(pid: int) -> bool:
    """From now on that process can write next to nothing; False where it is gone."""
    return _limit(pid, SMALL)


def free(pid: int) -> bool:
    return _limit(pid, None)


def _limit(pid: int, size: int | None) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
        return True
    return False
