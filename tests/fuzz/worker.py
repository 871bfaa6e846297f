"""Decodes one case after the other in a process of its own and writes a line for each.

A line before a file names it, so that whoever reads knows what a dead process was at.
"""

import faulthandler
import os
import sys
import time
import warnings
from io import BytesIO
from pathlib import Path

import cv2
import msgspec
import numpy as np
from PIL import Image

from gpu_handler.imaging.decode import ImageError, decode_image
from gpu_handler.imaging.profiles import DISPLAY_P3
from tests.fuzz.cases import Cases


class Begun(msgspec.Struct, frozen=True, tag=True):
    index: int
    name: str
    kind: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """`outcome`: image, an error code, or `escaped: ...`. `grown`: bytes of peak resident memory
    above what was held before. `pixels`: of the decoded picture."""

    index: int
    outcome: str
    seconds: float
    grown: int
    pixels: int = 0


Report = Begun | Done


def _resident(name: str) -> int:
    """VmRSS or VmHWM in bytes (proc_pid_status(5))."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) * 1024


def measured(index: int, data: bytes) -> Done:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again (proc_pid_clear_refs(5))
    held, started = _resident("VmRSS"), time.perf_counter()
    outcome, pixels = _outcome(data)
    seconds = time.perf_counter() - started
    return Done(index, outcome, seconds, max(0, _resident("VmHWM") - held), pixels)


def _outcome(data: bytes) -> tuple[str, int]:
    try:
        pixels = decode_image(data).pixels
    except ImageError as error:
        ran_out = isinstance(error.__cause__, MemoryError)
        return ("escaped: MemoryError" if ran_out else error.code.value), 0
    except BaseException as error:  # noqa: BLE001 what else comes out is what is looked for
        return f"escaped: {error!r}", 0
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        return f"escaped: {pixels.dtype} {pixels.shape}", 0
    return "image", pixels.shape[0] * pixels.shape[1]


def _warm_up() -> None:
    """The compiler is loaded, and the loop for colours compiled, by the first photo that needs it:
    a hundred megabytes, and of no photo."""
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", icc_profile=DISPLAY_P3)
    decode_image(file.getvalue())


def main(arguments: list[str]) -> None:
    """format, seed, count, extreme (0 or 1), index to begin with."""
    format_, seed, count, extreme, start = arguments[0], *map(int, arguments[1:])
    faulthandler.enable()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    _warm_up()
    encode, cases = msgspec.json.encode, Cases(format_, seed, count, bool(extreme))
    out = os.fdopen(os.dup(1), "wb", 0)
    for index, case in enumerate(cases.since(start), start):
        out.write(encode(Begun(index, case.name, case.kind)) + b"\n")
        out.write(encode(measured(index, case.data)) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
