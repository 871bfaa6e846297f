"""Both entry points, started from what a rehearsal left: one answers, the other does a job."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from infra.images.dockerfile import Stage
from infra.images.rehearsal import Root, StepFailed, Tell, program, run
from infra.local.ports import free_port

PATIENCE = 60.0

STORAGE = {
    "STORAGE_S3_ENDPOINT": "http://127.0.0.1:9",  # nobody listens: a console input needs no bucket
    "STORAGE_ACCESS_KEY": "none",
    "STORAGE_SECRET_KEY": "none",
    "STORAGE_BUCKET": "s3-images",
}


def start_api(root: Root, final: Stage, tell: Tell) -> None:
    """`/health/live` answers 200 and the process ends when told. Raises StepFailed."""
    port = free_port("127.0.0.1")
    argv = [*_entry(final), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with _running(root, argv, api_settings()) as process:
        answer = wait_live(f"http://127.0.0.1:{port}/health/live", process, _log(root))
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
    if code not in (0, -signal.SIGTERM):
        raise StepFailed(f"the API ended with {code} when it was told to")
    tell(f"  /health/live answers {answer}")


def start_handler(root: Root, final: Stage, tell: Tell) -> None:
    """The self-check passes with both pixel backends, and the entry point does test_input.json.

    Raises StepFailed.
    """
    told = {**STORAGE, "GPU_CALLBACK_SECRET": secrets.token_hex(32), "SEGMENTER": "classical"}
    for backend in ("cpu", "torch"):
        said = run(root, ["python", "-m", "gpu_handler.check"], **told, PIXEL_BACKEND=backend)
        tell(f"  {said.strip().splitlines()[-1]}")
    run(root, ["python", "-c", "import transformers, tokenizers, safetensors, huggingface_hub"])
    run(root, _entry(final), **told)
    tell("  the entry point did test_input.json and ended with 0")


STARTS: Mapping[str, Callable[[Root, Stage, Tell], None]] = {
    "api": start_api,
    "handler": start_handler,
}


def _entry(final: Stage) -> list[str]:
    entry = final.last("ENTRYPOINT")
    words = entry.exec_form if entry else None
    if not words:
        raise StepFailed("no ENTRYPOINT in exec form")
    return words


def api_settings() -> dict[str, str]:
    """Every setting that the API asks for, for one that is to start and no more."""
    return {
        "JWT_SECRET": secrets.token_hex(32),
        "GPU_CALLBACK_SECRET": secrets.token_hex(32),
        "R2_ENDPOINT_URL": STORAGE["STORAGE_S3_ENDPOINT"],
        "R2_ACCESS_KEY_ID": "none",
        "R2_SECRET_ACCESS_KEY": "none",
        "RUNPOD_BASE_URL": "http://127.0.0.1:9/v2",
        "RUNPOD_API_KEY": "none",
        "RUNPOD_ENDPOINT_ID": "none",
        "PUBLIC_URL": "http://127.0.0.1:9",
    }


@contextmanager
def _running(
    root: Root, argv: list[str], settings: Mapping[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    with _log(root).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the image's own entry point
            program(root, argv),
            cwd=root.path("."),
            env={**root.variables(), **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def _log(root: Root) -> Path:
    return root.folder / "log"


def wait_live(url: str, process: subprocess.Popen[bytes], log: Path) -> int:
    """The status of `url`, 200; raises StepFailed with the end of the process's log."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(errors="replace").splitlines()[-15:]
            raise StepFailed("\n".join(["the API ended before it answered", *said]))
        with suppress(httpx.TransportError):
            answer = httpx.get(url, timeout=5.0, trust_env=False)
            if answer.status_code == 200:
                return answer.status_code
        time.sleep(0.2)
    raise StepFailed(f"no answer from the API within {PATIENCE:.0f} s")
