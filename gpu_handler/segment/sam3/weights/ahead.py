"""Weights brought into the page cache while Python still imports what will load them."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from gpu_handler.segment.sam3.weights.folder import TEXT_PREFIXES, Checkpoint, detector_tensors
from gpu_handler.segment.sam3.weights.headers import read_header
from gpu_handler.segment.sam3.weights.refusals import CheckpointError

AT_ONCE = 8 * 2**20
"""Bytes of a read: large enough for a disk that is far away."""


def read_ahead(checkpoint: Checkpoint) -> threading.Thread:
    """Read what a start needs, all but the text encoder, in a thread that nobody has to wait for.

    Imports take seconds in which a disk has nothing to do, and the loader reads a mapped file page
    by page. A fault is left for the loader to meet and to tell.
    """
    thread = threading.Thread(target=_read, args=(checkpoint,), name="read-ahead", daemon=True)
    thread.start()
    return thread


def _read(checkpoint: Checkpoint) -> None:
    buffer = memoryview(bytearray(AT_ONCE))
    try:
        for file in checkpoint.files:
            with file.open("rb", buffering=0) as opened:
                for start, end in wanted_spans(file, checkpoint.prefix):
                    _read_span(opened.fileno(), start, end, buffer)
    except (OSError, CheckpointError):
        return


def _read_span(file: int, start: int, end: int, buffer: memoryview) -> None:
    while start < end:
        read = os.preadv(file, [buffer[: min(end - start, AT_ONCE)]], start)
        if not read:
            return
        start += read


def wanted_spans(file: Path, prefix: str) -> Iterator[tuple[int, int]]:
    """Offsets in bytes, from and to, of the detector's tensors without its text side; neighbours
    make one span. Raises what `read_header` raises."""
    begin = end = 0
    for name, _, entry in detector_tensors([read_header(file)], prefix):
        if name.startswith(TEXT_PREFIXES):
            continue
        if entry.start != end:
            if end > begin:
                yield begin, end
            begin = entry.start
        end = entry.end
    if end > begin:
        yield begin, end
