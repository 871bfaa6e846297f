"""Where the weights of SAM3 are: on this disk already, or on the hub.

Looking for them needs neither torch nor huggingface_hub, whose cache layout is three lines of
path arithmetic: a worker without the extra `sam3` can still say what it found.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gpu_handler.segment.sam3.weights.folder import (
    CONFIG,
    INDEX,
    WEIGHTS,
    Checkpoint,
    Layout,
    foreign_weights,
    open_folder,
)
from gpu_handler.segment.sam3.weights.hub import download
from gpu_handler.segment.sam3.weights.refusals import (
    CheckpointError,
    WeightsDamaged,
    WeightsMissing,
)

__all__ = [
    "RUNPOD_CACHE",
    "Checkpoint",
    "CheckpointError",
    "Layout",
    "fetch_checkpoint",
    "find_checkpoint",
    "open_folder",
]

RUNPOD_CACHE = Path("/runpod-volume/huggingface-cache/hub")
"""Where Runpod's cached models lie (docs.runpod.io/serverless/endpoints/model-caching)."""

_HUB_ID = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)


def find_checkpoint(
    model: str, cache_dir: Path, *, runpod_cache: Path = RUNPOD_CACHE
) -> Checkpoint | None:
    """Look for weights on this machine; None where there are none.

    `model` is a folder or a hub id such as facebook/sam3. The first of these that holds a
    config.json or safetensors decides, and is an error where it is unusable:

    1. the folder `model`; for what is no hub id, that is all;
    2. `cache_dir`;
    3. `cache_dir`/sam3, after the id's last part;
    4. the hub's cache layout (models--facebook--sam3/snapshots/…) in `cache_dir`, `cache_dir`/hub,
       `cache_dir`/huggingface-cache/hub and `runpod_cache`. Of several snapshots the one that
       refs/main names, else the newest complete one.

    Raises CheckpointError: WeightsIncomplete where fetching again may help, WeightsDamaged,
    WrongArchitecture (also where all there is, is Meta's sam3.pt or a pickle).
    """
    try:
        places = list(_places(model, cache_dir, runpod_cache))
        for folder in places:
            if _holds_weights(folder):
                return open_folder(folder)
        for folder in places:
            if refusal := foreign_weights(folder):
                raise refusal
    except OSError as error:
        where = error.filename or cache_dir
        raise WeightsDamaged(f"{where} cannot be read: {error.strerror or error}") from error
    return None


def fetch_checkpoint(
    model: str, cache_dir: Path, token: str | None, *, endpoint: str | None = None
) -> Checkpoint:
    """Download what is missing of a hub repository into `cache_dir`; a folder is just opened.

    `endpoint` is another hub than huggingface.co. Raises CheckpointError: WeightsMissing,
    RepositoryGated, RepositoryMissing, HubUnreachable, and what find_checkpoint raises.
    """
    if Path(model).is_dir():
        return open_folder(Path(model))
    if not _HUB_ID.fullmatch(model):
        raise WeightsMissing(f"{model[:200]} is neither a folder nor the id of a hub repository")
    return open_folder(download(model, cache_dir, token, endpoint))


def _places(model: str, cache_dir: Path, runpod_cache: Path) -> Iterator[Path]:
    yield Path(model)
    if not _HUB_ID.fullmatch(model):
        return
    yield cache_dir
    yield cache_dir / model.split("/")[-1]
    hubs = (cache_dir, cache_dir / "hub", cache_dir / "huggingface-cache" / "hub", runpod_cache)
    for hub in hubs:
        if folder := _snapshot(hub / f"models--{model.replace('/', '--')}"):
            yield folder


def _snapshot(repository: Path) -> Path | None:
    """The snapshot that counts in a repository of the hub's cache."""
    main = repository / "refs" / "main"
    commit = main.read_text("utf-8", "replace").strip() if main.is_file() else ""
    if commit.isalnum() and (repository / "snapshots" / commit).is_dir():
        return repository / "snapshots" / commit
    found = [folder for folder in (repository / "snapshots").glob("*") if folder.is_dir()]
    newest = sorted(found, key=lambda folder: (folder.stat().st_mtime_ns, folder.name))[::-1]
    return next(filter(_complete, newest), None) or next(iter(newest), None)


def _complete(folder: Path) -> bool:
    try:
        open_folder(folder)
    except CheckpointError:
        return False
    return True


def _holds_weights(folder: Path) -> bool:
    # A link that dangles counts: it is a download that broke off.
    return any(os.path.lexists(folder / name) for name in (CONFIG, WEIGHTS, INDEX))
