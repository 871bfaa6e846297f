"""The index of the store: one SQLite row for each object, which says where its bytes are.

SQLite, because a listing is then a range of a B-tree in S3's order, a conditional write is one
transaction, and what was acknowledged outlasts a power loss.
"""

import sqlite3
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    key BLOB PRIMARY KEY,      -- UTF-8, so that a listing comes in S3's order
    file TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    headers BLOB NOT NULL,     -- JSON: the headers that come back with the object
    modified REAL NOT NULL
) WITHOUT ROWID
"""
_SELECT = "SELECT key, file, size, etag, headers, modified FROM objects"
_REPLACE = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)"


class Record(Struct, frozen=True):
    """A stored object: `etag` is the hex MD5 of its bytes, `modified` in Unix seconds."""

    key: bytes
    file: str
    size: int
    etag: str
    headers: dict[str, str]
    modified: float


class Expectation(Struct, frozen=True):
    """What a conditional write wants to find: no object (None), or one with this etag (or `*`)."""

    etag: str | None

    def check(self, found: Record | None) -> None:
        """Raises `ExpectationFailed`."""
        if self.etag is None or found is None:
            holds = self.etag is None and found is None
        else:
            holds = self.etag in ("*", found.etag)
        if not holds:
            raise ExpectationFailed(found)


class ExpectationFailed(Exception):
    """Another object, or none, is there; `found` says which."""

    def __init__(self, found: Record | None) -> None:
        super().__init__("the object is not what the write expects")
        self.found = found


class Index:
    """Methods block, and may be called from several threads at once."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._rows.execute("PRAGMA journal_mode=WAL")
        self._rows.execute("PRAGMA synchronous=FULL")
        self._rows.execute(_SCHEMA)

    def find(self, key: bytes) -> Record | None:
        with self._lock:
            return self._select(key)

    def page(self, prefix: bytes, after: bytes, limit: int) -> list[Record]:
        """At most `limit` records whose key begins with `prefix` and comes after `after`."""
        with self._lock:
            rows = self._rows.execute(
                _SELECT + " WHERE key >= ? AND key > ? AND key < ? ORDER BY key LIMIT ?",
                # No UTF-8 text holds the byte 0xff, so this ends behind every key of the prefix.
                (prefix, after, prefix + b"\xff", limit),
            ).fetchall()
        return [_record(row) for row in rows]

    def replace(self, record: Record, expected: Expectation | None) -> Record | None:
        """Write the row and return the one that it replaced. Raises `ExpectationFailed`."""
        headers = json.encode(record.headers)
        row = (record.key, record.file, record.size, record.etag, headers, record.modified)
        with self._transaction():
            found = self._select(record.key)
            if expected is not None:
                expected.check(found)
            self._rows.execute(_REPLACE, row)
        return found

    def remove(self, keys: Iterable[bytes]) -> list[str]:
        """Remove the rows of these keys, all or none, and return the files that they named."""
        files: list[str] = []
        with self._transaction():
            for key in keys:
                gone = self._rows.execute(
                    "DELETE FROM objects WHERE key = ? RETURNING file", (key,)
                )
                files += [file for (file,) in gone.fetchall()]
        return files

    def files(self) -> set[str]:
        with self._lock:
            return {file for (file,) in self._rows.execute("SELECT file FROM objects")}

    def close(self) -> None:
        with self._lock:
            self._rows.close()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with self._lock:
            self._rows.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._rows.execute("COMMIT")
            except BaseException:
                if self._rows.in_transaction:
                    self._rows.execute("ROLLBACK")
                raise

    def _select(self, key: bytes) -> Record | None:
        row = self._rows.execute(_SELECT + " WHERE key = ?", (key,)).fetchone()
        return None if row is None else _record(row)


def _record(row: tuple[bytes, str, int, str, bytes, float]) -> Record:
    key, file, size, etag, headers, modified = row
    return Record(key, file, size, etag, json.decode(headers, type=dict[str, str]), modified)
