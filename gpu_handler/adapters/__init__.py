"""Where jobs come from. One file for each place, and the same core behind them all."""

from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias, cast

from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.worker import Worker
from gpu_handler.settings import AdapterChoice, Settings

Serve: TypeAlias = Callable[[Settings, Worker, Fetcher], None]
"""Takes jobs until a signal says stop or the device is lost; may leave with SystemExit."""


def find_adapter(choice: AdapterChoice) -> Serve:
    """Import the one that is used, and nothing that only another needs.

    Raises ModuleNotFoundError where a library that it needs is not installed.
    """
    return cast(Serve, import_module(f"{__name__}.{choice}").serve)
