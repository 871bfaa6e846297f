"""What was tried to make a start shorter: each beside the worker as it is."""

from pathlib import Path

from tests.benchmarks.cold_start.worker import Way

AS_IT_IS = Way("as it is")

COLLECTING = "import gc; gc.disable = gc.freeze = lambda: None"

NO_READ_AHEAD = """\
from gpu_handler.segment.sam3.weights import ahead
ahead.read_ahead = lambda checkpoint: None"""

NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}

NO_CPUINFO = """\
import cpuinfo
cpuinfo.get_cpu_info = lambda: {"brand_raw": "unknown"}"""

IN_A_THREAD = """\
import threading
import gpu_handler.handler
threading.Thread(
    target=__import__, args=("gpu_handler.segment.sam3.engine",), daemon=True
).start()"""


def savings() -> list[Way]:
    return [
        AS_IT_IS,
        Way("with garbage collections", COLLECTING),
        Way("without bytecode", environ=NO_BYTECODE, fresh=("PYTHONPYCACHEPREFIX",)),
        Way("loops compiled anew", fresh=("NUMBA_CACHE_DIR",)),
        Way("SDK without py-cpuinfo", NO_CPUINFO),
        Way("libraries in a thread", IN_A_THREAD),
        Way("-X frozen_modules=off", flags=("-X", "frozen_modules=off")),
    ]


def compilations(folder: Path) -> list[Way]:
    """Of a folder that the second of them fills."""
    kept = {"SAM3_COMPILE": "on", "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}
    return [
        Way("eager", environ={"SAM3_COMPILE": "off"}),
        Way("compiling, nothing kept", environ=kept),
        Way("compiling, kept", environ=kept),
    ]
