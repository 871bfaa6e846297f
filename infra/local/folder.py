"""The data folder of a stack: made, and held by one stack at a time."""

import fcntl
import os
from pathlib import Path

from infra.local.errors import StackError


class DataFolder:
    """Holds `path` until closed, or until this process ends in whatever way."""

    def __init__(self, path: Path) -> None:
        """Raises StackError where the folder cannot be made or another stack holds it."""
        self.path = path.absolute()
        try:
            (self.path / "home").mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(f"data folder {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise StackError(f"data folder {self.path}: another stack uses it") from error

    def close(self) -> None:
        """May be called again."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
