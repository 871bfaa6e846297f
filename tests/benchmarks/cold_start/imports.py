"""Seconds of each heavy package's import, in processes of their own and inside one."""

import subprocess
import sys
from collections import defaultdict

from tests.benchmarks.cold_start.worker import ROOT
from tests.benchmarks.table import timed

ALONE = (
    "pass", "numpy", "cv2", "numba", "boto3", "httpx", "runpod", "torch",
    "torch, transformers.models.sam3.modeling_sam3",
)  # fmt: skip
"""Each also imports what it needs of the others."""

WORKER = "gpu_handler.handler, gpu_handler.adapters.runpod, gpu_handler.segment.sam3.engine"


def alone(what: str) -> float:
    """Wall seconds of an interpreter that imports `what` and ends."""
    code = what if what == "pass" else f"import {what}"
    return timed(lambda: subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True))[0]


def attributed() -> dict[str, float]:
    """Seconds that modules of each top package spent in their own code, most first: one worker's
    imports under `-X importtime`, which itself slows them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {WORKER}"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    seconds: defaultdict[str, float] = defaultdict(float)
    for line in done.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            seconds[parts[2].strip().partition(".")[0]] += int(parts[0]) / 1e6
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))
