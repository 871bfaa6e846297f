"""Download from the Hugging Face hub, and what to say when it refuses."""

import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_handler.segment.sam3.weights.refusals import (
    CheckpointError,
    HubUnreachable,
    RepositoryGated,
    RepositoryMissing,
)

WANTED = (
    "*.json",
    "*.txt",
    "model*.safetensors",
    "text_features.safetensors",
    "LICENSE*",
    "NOTICE*",
)
"""What is read of a repository; facebook/sam3 also has sam3.pt, as large again and of no use."""

log = logging.getLogger(__name__)


def download(model: str, cache_dir: Path, token: str | None, endpoint: str | None) -> Path:
    """Fetch what is missing of a repository into the hub's cache layout under `cache_dir`.

    No other token than the one given is used. Takes up what an earlier try left. Where the hub
    cannot be asked and everything is there, that is good enough. Raises CheckpointError.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise CheckpointError(
            f"{model} cannot be fetched without huggingface_hub: install the extra sam3"
        ) from error
    log.info("%s is fetched into %s", model, cache_dir)
    try:
        folder = snapshot_download(
            model,
            cache_dir=cache_dir,
            token=token or False,
            endpoint=endpoint,
            allow_patterns=list(WANTED),
            tqdm_class=_silent_bar(),
        )
    except Exception as error:  # several libraries below, each with errors of its own
        raise _refusal(error, model, cache_dir, token) from error
    return Path(folder)


def _silent_bar() -> type[Any]:
    from huggingface_hub.utils import tqdm

    class Silent(tqdm):  # pyright: ignore[reportUntypedBaseClass, reportMissingTypeArgument]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **(kwargs | {"disable": True}))

    return Silent


def _refusal(error: Exception, model: str, cache_dir: Path, token: str | None) -> CheckpointError:
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled

    chain = list(_causes(error))
    status = next(filter(None, map(_status, chain)), None)
    if any(isinstance(cause, GatedRepoError) for cause in chain) or status == 403:
        return RepositoryGated(_gated(model, token))
    if status in (401, 404):
        return RepositoryMissing(_unknown(model, status, token))
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in chain):
        return HubUnreachable(f"{model} is not in {cache_dir}, and HF_HUB_OFFLINE forbids to fetch")
    if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in chain):
        return CheckpointError(f"{cache_dir} has no room left for {model}")
    told = f"status {status}" if status else f"{type(chain[-1]).__name__}: {chain[-1]}"[:200]
    return HubUnreachable(f"{model} could not be fetched from the hub ({told}): try again later")


def _gated(model: str, token: str | None) -> str:
    if token is None:
        return f"{model} is gated: set HF_TOKEN to a token of an account that was granted access"
    return f"{model} is gated: the account of HF_TOKEN was not granted access; ask on its page"


def _unknown(model: str, status: int, token: str | None) -> str:
    # The hub answers 401, not 404, where a repository is hidden, is not there, or the token is bad.
    if status == 404:
        return f"{model} is not on the hub: check the name"
    if token is None:
        return f"{model} is not on the hub, or private: check the name, or set HF_TOKEN"
    return f"{model} is not shown to the account of HF_TOKEN: check the name and the token"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
