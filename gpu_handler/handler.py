"""Where the worker is put together, and one line for each reason why it cannot be.

Run as `python -u -m gpu_handler.handler`.
"""

import logging
import os
import sys

import cv2
import httpx

from gpu_handler.adapters import Serve, find_adapter
from gpu_handler.backends.choice import TorchMissing, choose_backends, gpu_in_use
from gpu_handler.callback import CallbackClient
from gpu_handler.check.photo import CheckFailed, prove
from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.fetch import Fetcher
from gpu_handler.inpainting.base import Inpainter, InpainterError
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.worker import Worker
from gpu_handler.segment.base import Segmenter
from gpu_handler.segment.choice import choose_engine
from gpu_handler.settings import DeviceChoice, Settings
from gpu_handler.start import Start, nothing_collected
from shared.environment import Mode, SettingsError
from shared.logs import configure_logs
from shared.objects import ObjectStore

log = logging.getLogger("gpu_handler.handler")  # __name__ is __main__ where it matters


def build_worker(settings: Settings, engine: Segmenter, brushwork: Brushwork) -> Worker:
    """Open the clients and start the threads; nothing is connected to yet."""
    store = ObjectStore(
        settings.storage_s3_endpoint,
        settings.storage_bucket,
        settings.storage_access_key,
        settings.storage_secret_key,
    )
    # No proxy of the environment could reach this machine's own loopback.
    direct = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
    client = httpx.AsyncClient(mounts=direct, limits=httpx.Limits(max_connections=16))
    callbacks = CallbackClient(
        client,
        settings.callback_secret,
        timeout=settings.callback_timeout_sec,
        allowed_hosts=settings.callback_allowed_hosts,
        encrypted=settings.mode is Mode.PRODUCTION,
    )
    return Worker(
        engine,
        store,
        callbacks,
        brushwork=brushwork,
        batch_concurrency=settings.batch_concurrency,
    )


def choose_brushwork(settings: Settings) -> Brushwork:
    """What photos are painted with; the engine has been chosen, and torch imported where it is
    used. Raises SettingsError for what cannot be had."""
    try:
        backends = choose_backends(settings.pixel_backend)
    except TorchMissing as error:
        raise SettingsError("PIXEL_BACKEND", str(error)) from error
    log.info("pixels: %s, %s edges", backends[0].name, settings.mask_edges)
    return Brushwork(backends, settings.mask_edges, _inpainter(settings))


def _inpainter(settings: Settings) -> Inpainter | None:
    if settings.inpaint_model is None:
        return None
    try:
        from gpu_handler.inpainting.torchscript import TorchScriptInpainter

        return TorchScriptInpainter(settings.inpaint_model, _inpainting_device(settings))
    except ModuleNotFoundError as error:
        raise SettingsError("INPAINT_MODEL", f"needs {error.name}, which is missing") from error
    except InpainterError as error:
        raise SettingsError("INPAINT_MODEL", str(error)) from error


def _inpainting_device(settings: Settings) -> str:
    return "cuda" if gpu_in_use() and settings.sam3_device is not DeviceChoice.CPU else "cpu"


def main() -> int:
    """Work until told to stop. 1 where a setting is missing, malformed or in vain."""
    start = Start()
    try:
        with nothing_collected():
            settings = Settings.from_env(os.environ)
            with start.stage("adapter"):
                serve = _choose_adapter(settings)
            configure_logs(settings.log_level, sys.stdout)
            engine = choose_engine(settings, start.stage)
            with start.stage("pixels"):
                brushwork = choose_brushwork(settings)
            with start.stage("check"):
                prove(brushwork)
    except (SettingsError, CheckFailed, DeviceLost, DeviceExhausted) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    work(settings, serve, engine, brushwork, start)
    return 0


def _choose_adapter(settings: Settings) -> Serve:
    """Before our logs are set up: the Runpod SDK does that in its own way when it is imported."""
    try:
        return find_adapter(settings.adapter)
    except ModuleNotFoundError as error:
        raise SettingsError("ADAPTER", f"needs {error.name}, which is missing") from error


def _one_thread_each() -> None:
    # Photos run side by side; more threads inside each of them would only get in their way.
    cv2.setNumThreads(1)


def work(
    settings: Settings, serve: Serve, engine: Segmenter, brushwork: Brushwork, start: Start
) -> None:
    """Take jobs until told to stop, or until the device is lost."""
    _one_thread_each()
    with start.stage("clients"):
        worker = build_worker(settings, engine, brushwork)
        fetcher = Fetcher(allow_private=settings.allow_private_image_urls)
    start.ready()
    try:
        serve(settings, worker, fetcher)
    finally:
        worker.close()


if __name__ == "__main__":
    sys.exit(main())
