"""Which engine this worker has: what was asked for, or a stop that says what is missing."""

import logging
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, assert_never

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.segment.base import Segmenter
from gpu_handler.segment.classical import ClassicalSegmenter
from gpu_handler.segment.stages import Stage
from gpu_handler.settings import CompileChoice, SegmenterChoice, Settings
from shared.environment import SettingsError

if TYPE_CHECKING:
    from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint, CheckpointError

DEFAULT_MODEL = "facebook/sam3"
EXTRA = ("torch", "transformers")

log = logging.getLogger(__name__)


def choose_engine(settings: Settings, stage: Stage = nullcontext) -> Segmenter:
    """The engine that `SEGMENTER` asks for, ready for work; the log says which, why, where from.

    `auto` takes SAM3 where its weights are found, and where `SAM3_MODEL` or `HF_TOKEN` asks for
    them; only where neither does may it take `classical`. torch is imported for SAM3 alone.

    Raises SettingsError where what was asked for cannot be had: it never falls back in silence.
    """
    match settings.segmenter:
        case SegmenterChoice.CLASSICAL:
            log.info("engine: classical, as SEGMENTER asks")
            return ClassicalSegmenter()
        case SegmenterChoice.SAM3:
            return _asked(settings, "SEGMENTER", stage)
        case SegmenterChoice.AUTO:
            return _auto(settings, stage)
        case _:
            assert_never(settings.segmenter)


def _auto(settings: Settings, stage: Stage) -> Segmenter:
    given = {"SAM3_MODEL": settings.sam3_model, "HF_TOKEN": settings.hf_token}
    asking = [name for name, value in given.items() if value]
    if asking:
        return _asked(settings, " and ".join(asking), stage)
    with _as_settings_error():
        with stage("look"):
            found = _find(settings)
        if found is not None:
            return _open(settings, found, "auto found its weights", stage)
    log.warning(
        "engine: classical is used; there are no weights of SAM3 in MODEL_CACHE_DIR (%s), and "
        "neither SAM3_MODEL nor HF_TOKEN asks for them",
        settings.model_cache_dir,
    )
    return ClassicalSegmenter()


def _asked(settings: Settings, who: str, stage: Stage) -> Segmenter:
    with _as_settings_error():
        with stage("look"):
            found = _find(settings, mend=True)
        if found is None:
            with stage("fetch"):
                found = _fetch(settings)
        return _open(settings, found, f"asked for by {who}", stage)


def _find(settings: Settings, *, mend: bool = False) -> "Checkpoint | None":
    """With `mend`, weights whose download broke off count as not found."""
    from gpu_handler.segment.sam3.weights.checkpoint import find_checkpoint
    from gpu_handler.segment.sam3.weights.refusals import WeightsIncomplete

    try:
        return find_checkpoint(_model(settings), settings.model_cache_dir)
    except WeightsIncomplete as news:
        if not mend:
            raise
        log.warning("%s", news)
        return None


def _fetch(settings: Settings) -> "Checkpoint":
    from gpu_handler.segment.sam3.weights.checkpoint import fetch_checkpoint

    _check_extra()  # rather than after gigabytes
    return fetch_checkpoint(_model(settings), settings.model_cache_dir, settings.hf_token)


def _open(settings: Settings, checkpoint: "Checkpoint", why: str, stage: Stage) -> Segmenter:
    _check_extra()
    from gpu_handler.segment.sam3.weights.ahead import read_ahead

    read_ahead(checkpoint)
    with stage("libraries"):
        from gpu_handler.segment.sam3.engine import DeviceMissing, open_engine

    try:
        engine = open_engine(
            checkpoint,
            device=settings.sam3_device,
            dtype=settings.sam3_dtype,
            compile_layers=_COMPILE[settings.sam3_compile],
            compiled_in=settings.model_cache_dir / "compiled",
            stage=stage,
        )
    except (DeviceMissing, DeviceExhausted, DeviceLost) as error:
        raise SettingsError("SAM3_DEVICE", " ".join(str(error).split())) from error
    log.info("engine: sam3, %s; weights %s of %s", why, checkpoint.fingerprint, checkpoint.path)
    return engine


def _model(settings: Settings) -> str:
    return settings.sam3_model or DEFAULT_MODEL


def _check_extra() -> None:
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        needed = " and ".join(missing)
        reason = f"SAM3 needs {needed}: install the sam3 extra, or set this to classical"
        raise SettingsError("SEGMENTER", reason)


@contextmanager
def _as_settings_error() -> Generator[None]:
    """Name the setting beside the reason."""
    from gpu_handler.segment.sam3.weights.checkpoint import CheckpointError

    try:
        yield
    except CheckpointError as error:
        raise SettingsError(_to_blame(error), str(error)) from error


def _to_blame(error: "CheckpointError") -> str:
    from gpu_handler.segment.sam3.weights.refusals import MemoryShort, RepositoryGated

    match error:
        case RepositoryGated():
            return "HF_TOKEN"
        case MemoryShort():
            return "SAM3_DEVICE"
        case _:
            return "SAM3_MODEL"


_COMPILE = {CompileChoice.AUTO: None, CompileChoice.ON: True, CompileChoice.OFF: False}
