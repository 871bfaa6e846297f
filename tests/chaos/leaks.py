"""Secrets in log lines: there must be none."""

import re
from collections.abc import Iterable
from pathlib import Path

CANARY = "canary-device"
"""What every device hash of the campaign begins with: a device hash opens an account."""

_PATTERNS = (CANARY, r"eyJ[\w-]{10,}\.eyJ", r"X-Amz-Signature=[0-9a-f]{8}", r"v1,[A-Za-z0-9+/]{40}")


def leaks(folder: Path, secrets: Iterable[str]) -> tuple[int, list[str]]:
    """How many lines were read, and where a secret, a token or a signature stands in one."""
    pattern = re.compile("|".join((*_PATTERNS, *map(re.escape, secrets))).encode())
    lines, found = 0, list[str]()
    for path in sorted(folder.glob("*.log")):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                lines += 1
                if pattern.search(line):
                    found.append(f"{path.name}:{number}")
    return lines, found
