"""Cold start: processes of their own, from nothing to the first photo, ours and the stock one."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import torch
from transformers.utils.logging import disable_progress_bar

from tests.benchmarks.sam3.report import ColdRow
from tests.benchmarks.sam3.rounds import Budget
from tests.benchmarks.sam3.setting import Setting
from tests.benchmarks.table import heading, line
from tests.checkpoints import write_checkpoint

ROOT = Path(__file__).parents[3]
LEAST = 20.0
"""Seconds below which there is no point in starting a process that imports torch."""


def measure_cold_start(setting: Setting, budget: Budget) -> None:
    """Checkpoints of the run's weights are written first: the page cache is warm, as after a
    download. Ours loads the dtype that it runs in, the stock one float32."""
    disable_progress_bar()
    heading("SAM3 cold start, s since the process started", *_STAGES)
    with tempfile.TemporaryDirectory(prefix="sam3-bench-") as folder:
        for way in ("ours", "stock"):
            dtype = "bf16" if setting.device.cuda and way == "ours" else "fp32"
            if budget.left < LEAST:
                setting.report.skip(f"cold start of {way}: out of time")
                continue
            path = Path(folder) / dtype
            if not path.exists():
                write_checkpoint(path, setting.stocks[f"stock {dtype}"].model)
            _run(setting, way, path, dtype, budget)


_STAGES = ("torch", "imports", "loaded", "first photo", "next photo", "compiled")


def _run(setting: Setting, way: str, path: Path, dtype: str, budget: Budget) -> None:
    compiling = way == "ours" and any(name.startswith("compiled") for name in setting.ways)
    command = [sys.executable, "-m", "tests.benchmarks.sam3.cold_process"]
    command += [way, str(path), str(setting.device.torch), dtype]
    command += ["compiled" if compiling else "eager", str(time.time())]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            timeout=budget.left,
            check=False,
        )
    except subprocess.TimeoutExpired:
        setting.report.skip(f"cold start of {way}: out of time")
        return
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
    stages = msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, float])
    name = f"{way} {dtype}"
    setting.report.cold.append(ColdRow(name, stages))
    line(name, *(f"{stages[stage]:.2f}" for stage in stages))


def _environment() -> dict[str, str]:
    """Compiled code for a CPU is compiled for a number of threads."""
    return dict(os.environ) | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
