"""Where the objects lie: their bytes in files of their own, which the index names.

The index row is the object: it is written in one transaction after the bytes are safe on disk, so
a reader sees the old object or the new one, whole, whatever is killed when. A file that no row
names is what a killed process left behind, and goes at the next start.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from io import BufferedReader, BufferedWriter
from pathlib import Path

from infra.local.store.index import Expectation, Index, Record

_READ_ATTEMPTS = 10


class AlreadyServed(Exception):
    """Another process serves this folder."""


class Upload:
    """Bytes on their way in, in a file of their own until `Shelf.keep` takes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BufferedWriter = path.open("xb")

    def write(self, piece: bytes) -> None:
        self._file.write(piece)

    def seal(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Forget the bytes; without effect once they are kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Shelf:
    """One bucket on disk. Methods block, and may be called from several threads at once.

    Raises `AlreadyServed` where another process has the same folder open.
    """

    def __init__(self, root: Path) -> None:
        self._incoming = root / "incoming"
        self._objects = root / "objects"
        self._objects.mkdir(parents=True, exist_ok=True)
        self._lock_file = (root / "lock").open("a")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock_file.close()
            raise AlreadyServed(f"another process serves {root}") from None
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir()
        self.index = Index(root / "index.sqlite3")
        self._sweep()

    def begin(self) -> Upload:
        return Upload(self._incoming / secrets.token_hex(16))

    def keep(
        self,
        upload: Upload,
        key: bytes,
        *,
        size: int,
        etag: str,
        headers: dict[str, str],
        expected: Expectation | None = None,
    ) -> Record:
        """Make the upload the object of this key. Raises `ExpectationFailed`."""
        upload.seal()
        record = Record(key, _new_file(key), size, etag, headers, time.time())
        path = self._objects / record.file
        path.parent.mkdir(exist_ok=True)
        upload.path.rename(path)
        _sync_folder(path.parent)
        try:
            replaced = self.index.replace(record, expected)
        except BaseException:
            path.unlink()
            raise
        if replaced is not None:
            self._drop([replaced.file])
        return record

    def open(self, key: bytes) -> tuple[Record, BufferedReader] | None:
        """The record and its open file, which belong together; None where there is no object."""
        for _ in range(_READ_ATTEMPTS):
            record = self.index.find(key)
            if record is None:
                return None
            try:
                return record, (self._objects / record.file).open("rb")
            except FileNotFoundError:
                continue  # replaced since the row was read
        raise OSError("an object's file is missing")

    def remove(self, keys: Iterable[bytes]) -> None:
        """Remove these objects, all or none; one that is not there is no error."""
        self._drop(self.index.remove(keys))

    def close(self) -> None:
        self.index.close()
        self._lock_file.close()

    def _drop(self, files: Iterable[str]) -> None:
        for file in files:
            (self._objects / file).unlink(missing_ok=True)

    def _sweep(self) -> None:
        named = self.index.files()
        for path in self._objects.glob("*/*"):
            if f"{path.parent.name}/{path.name}" not in named:
                path.unlink()


def _new_file(key: bytes) -> str:
    """A new file for this key: its hash, so that no key is ever a path, and a random part."""
    digest = hashlib.sha256(key).hexdigest()
    return f"{digest[:2]}/{digest}-{secrets.token_hex(8)}"


def _sync_folder(folder: Path) -> None:
    """Make a rename into the folder last through a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
