"""Weights for production: the detector alone, cast, with text features and checked sums.

    python -m gpu_handler.segment.sam3.prepare --model facebook/sam3 --output /models/sam3
    python -m gpu_handler.segment.sam3.prepare --check /models/sam3

HF_TOKEN is that of an account with access to the model. The output appears whole or not at all.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HUB_CACHE
from msgspec import Struct
from safetensors import SafetensorError

from gpu_handler.segment.sam3.preparing.manifest import (
    Manifest,
    ManifestUnusable,
    Origin,
    read_manifest,
    sum_files,
    write_manifest,
    wrong_files,
)
from gpu_handler.segment.sam3.preparing.staging import (
    OutputRefused,
    check_output,
    check_space,
    staged,
)
from gpu_handler.segment.sam3.preparing.verify import OutputsDiffer, verify
from gpu_handler.segment.sam3.preparing.writing import stored_size, write_model, write_text_features
from gpu_handler.segment.sam3.weights.checkpoint import (
    Checkpoint,
    CheckpointError,
    fetch_checkpoint,
    find_checkpoint,
    open_folder,
)
from gpu_handler.segment.sam3.weights.loading import load_model
from gpu_handler.segment.sam3.weights.refusals import WeightsIncomplete

CPU = torch.device("cpu")
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}

SPARE_BYTES = 64 * 2**20
"""Room for what is beside the weights: a tokenizer of 4 MB, 3 MB of text features."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is asked for. `device` is where the comparison runs, `endpoint` another hub."""

    model: str
    output: Path
    dtype: torch.dtype = torch.bfloat16
    cache_dir: Path = Path(HF_HUB_CACHE)
    endpoint: str | None = None
    verify: bool = True
    force: bool = False
    device: torch.device = CPU


def prepare(plan: Plan, token: str | None) -> Manifest:
    """Make the folder `plan.output`. Progress goes to stderr.

    Raises CheckpointError, OutputRefused, OutputsDiffer and OSError; then nothing has changed.
    """
    check_output(plan.output, None, force=plan.force)
    source = _obtain(plan, token)
    check_output(plan.output, source.path, force=plan.force)
    _say(f"reading {source.path}")
    model = load_model(source, CPU, torch.float32)
    size = stored_size(model, plan.dtype)
    check_space(plan.output, size + SPARE_BYTES)
    with staged(plan.output) as folder:
        _say(f"writing {size / 1e9:.2f} GB of {_name(plan.dtype)}")
        write_model(model, source, folder, plan.dtype)
        _say("computing the text features of the presets' phrases")
        write_text_features(model, open_folder(folder))
        del model
        if plan.verify:
            told = verify(source, open_folder(folder), plan.dtype, plan.device, _say)
            _say(f"the outputs agree: {told}")
        _say("summing up the files")
        manifest = _describe(source, folder, plan)
        write_manifest(folder, manifest)
    total = sum(file.size for file in manifest.files.values())
    _say(f"{plan.output} is ready: {len(manifest.files)} files, {total / 1e9:.2f} GB")
    return manifest


def check(folder: Path) -> list[str]:
    """A line for each file that is not as its manifest has it. Raises ManifestUnusable."""
    return list(wrong_files(folder, read_manifest(folder)))


def _obtain(plan: Plan, token: str | None) -> Checkpoint:
    try:
        found = find_checkpoint(plan.model, plan.cache_dir)
    except WeightsIncomplete as error:
        if Path(plan.model).is_dir():
            raise
        _say(str(error))
        found = None
    # In the cache a worker reads, an earlier output is what is found first.
    if found and (Path(plan.model).is_dir() or found.path.resolve() != plan.output.resolve()):
        return found
    _say(f"fetching {plan.model} into {plan.cache_dir}")
    return fetch_checkpoint(plan.model, plan.cache_dir, token, endpoint=plan.endpoint)


def _describe(source: Checkpoint, folder: Path, plan: Plan) -> Manifest:
    snapshot = source.path.parent.name == "snapshots"  # of a hub's cache, named by the commit
    return Manifest(
        source=Origin(
            model=plan.model,
            revision=source.path.name if snapshot else "",
            fingerprint=source.fingerprint,
        ),
        dtype=_name(plan.dtype),
        verified=plan.verify,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("torch", "transformers", "safetensors")},
        files=sum_files(folder),
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _say(line: str) -> None:
    sys.stderr.write(f"prepare: {line}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gpu_handler.segment.sam3.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--output", type=Path, metavar="DIR", help="the folder to make")
    task.add_argument("--check", type=Path, metavar="DIR", help="compare one with its manifest")
    parser.add_argument("--model", default="facebook/sam3", help="a hub id or a local folder")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="of the parameters")
    parser.add_argument("--cache-dir", type=Path, metavar="DIR", default=Path(HF_HUB_CACHE))
    devices = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)
    parser.add_argument(
        "--device", choices=devices, default=devices[0], help="where outputs are compared"
    )
    parser.add_argument("--no-verify", action="store_true", help="do not compare with the source")
    parser.add_argument("--force", action="store_true", help="replace a folder made by others")
    return parser


def _plan(asked: argparse.Namespace) -> Plan:
    return Plan(
        model=asked.model,
        output=asked.output,
        dtype=DTYPES[asked.dtype],
        cache_dir=asked.cache_dir,
        verify=not asked.no_verify,
        force=asked.force,
        device=torch.device(asked.device),
    )


def _check(folder: Path) -> int:
    wrong = check(folder)
    for line in wrong:
        sys.stderr.write(f"{folder}: {line}\n")
    if not wrong:
        sys.stdout.write(f"{folder}: every file is as its manifest has it\n")
    return 1 if wrong else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where all went well, 1 with one line on stderr; argparse exits with 2 for bad usage."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.check is not None:
            return _check(asked.check)
        prepare(_plan(asked), os.environ.get("HF_TOKEN", "").strip() or None)
    except (CheckpointError, ManifestUnusable, OutputRefused, OutputsDiffer) as error:
        return _fail(str(error))
    except (OSError, MemoryError, RuntimeError, SafetensorError) as error:
        return _fail(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        _fail("interrupted; nothing was changed")
        return 130
    return 0


def _fail(reason: str) -> int:
    sys.stderr.write(f"error: {' '.join(reason.split())}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
