"""Files put out of the page cache, so that the next reader meets the disk."""

import os
from collections.abc import Iterable
from pathlib import Path


def forget(paths: Iterable[Path]) -> int:
    """Bytes of the files, and of those in folders, that the kernel was asked to drop.

    Pages that another process has mapped stay, and a kernel may ignore the request.
    """
    files = (file for path in paths for file in ([path] if path.is_file() else path.rglob("*")))
    return sum(_forget(file) for file in files if file.is_file())


def _forget(file: Path) -> int:
    opened = os.open(file, os.O_RDONLY)
    try:
        os.fdatasync(opened)  # what was never written cannot be dropped
        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.fstat(opened).st_size
    finally:
        os.close(opened)
