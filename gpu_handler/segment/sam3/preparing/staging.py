"""A folder that appears whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gpu_handler.segment.sam3.preparing.manifest import ManifestUnusable, read_manifest


class OutputRefused(Exception):
    """The output cannot be put there; one line that says why."""


def check_output(output: Path, source: Path | None, *, force: bool) -> None:
    """Refuse what must not be replaced: anything but an empty folder or one made here before.

    `force` lifts that, but neither for a file or a mount point nor for a folder that holds
    `source` or lies in it. Raises OutputRefused.
    """
    output = output.resolve()
    if output.exists() and not output.is_dir():
        raise OutputRefused(f"{output} is not a folder")
    if output.is_mount():
        raise OutputRefused(f"{output} is a mount point: name a folder inside it")
    if source is not None and any(_overlap(output, path) for path in _places(source)):
        raise OutputRefused(f"{output} and the source {source} overlap")
    if force or not output.exists() or not any(output.iterdir()):
        return
    try:
        read_manifest(output)
    except ManifestUnusable as error:
        reason = "was not made by this program; --force replaces it"
        raise OutputRefused(f"{output} {reason}") from error


def check_space(output: Path, needed: int) -> None:
    """Raises OutputRefused where `needed` bytes do not fit beside what is there."""
    place = next(parent for parent in output.resolve().parents if parent.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        sizes = f"{needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
        raise OutputRefused(f"{place} has too little space: {sizes}")


@contextmanager
def staged(output: Path) -> Generator[Path]:
    """An empty folder beside `output` that takes its place when the block ends without an error.

    It is hidden, `.NAME.partial`, on the same file system, and emptied by the next run where this
    one is killed. Raises OutputRefused where another process is at it.
    """
    output = output.resolve()
    partial = output.with_name(f".{output.name}.partial")
    output.parent.mkdir(parents=True, exist_ok=True)
    lock = _take(partial)
    try:
        _empty(partial)
        yield partial
        _flush(partial)
        _publish(partial, output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(lock)  # and with it the lock, which a killed process loses just so


def _take(partial: Path) -> int:
    """Make the folder, and lock it until the descriptor is closed."""
    while True:
        partial.mkdir(exist_ok=True)
        lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise OutputRefused(f"another run is writing {partial}") from None
        except OSError:  # a file system without locks: two runs at once are the caller's risk
            return lock
        if _is_at(lock, partial):
            return lock
        os.close(lock)  # the run that held it has just published it: this is its output now


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _flush(folder: Path) -> None:
    """Onto the disk, and as readable as the folder: safetensors writes for the owner alone."""
    readable = folder.stat().st_mode & 0o666
    for file in folder.iterdir():
        file.chmod(readable)
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _publish(partial: Path, output: Path) -> None:
    """Put `partial` in the place of `output`. What was there is removed last."""
    if not output.exists():
        partial.rename(output)
        return
    old = output.with_name(f".{output.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    output.rename(old)
    try:
        partial.rename(output)
    except OSError:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _places(source: Path) -> list[Path]:
    """The folder and its files, where they really are: a hub's cache links to them."""
    return [source.resolve(), *(file.resolve() for file in source.iterdir())]


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents
