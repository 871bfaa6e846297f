"""Layers compiled in the background: eager until the compiled ones are ready, then swapped.

A cold compilation takes minutes, a warm cache of it seconds; neither may keep photos waiting.
Layers of a kind share one compiled graph. Batches are dynamic in it, so that a batch of a size that
was not warmed up needs no compilation, but a batch of one is a graph of its own.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, cast

import torch
from torch import Tensor

from gpu_handler.segment.sam3.network.detector import Detector

log = logging.getLogger(__name__)

Call: TypeAlias = Callable[..., object]

_PATIENCE = 20.0
"""Seconds that `abandon` waits; a layer takes about ten on one core."""

_WARM_UP = ((1, 1), (1, 2), (2, 1), (2, 3))
"""Photos and pairs of each round: one and several of both, the shapes that compile apart."""


class _Thread(threading.local):
    compiles = False


_this_thread = _Thread()


class Abandoned(RuntimeError):
    """Nobody waits for the compiled layers any more."""


class Layer:
    """In the place of a layer's method: eager for everyone but the thread that compiles it."""

    def __init__(self, eager: Call, backend: str | Call) -> None:
        self._eager = eager
        self._compiled: Call = torch.compile(eager, fullgraph=True, backend=backend)
        self.ready = self.given_up = False

    def __call__(self, *arguments: object) -> object:
        if _this_thread.compiles:
            if self.given_up:
                raise Abandoned("the process ends")
            _mark_batches(arguments)
            return self._compiled(*arguments)
        return self._compiled(*arguments) if self.ready else self._eager(*arguments)


class Compilation:
    """The layers of one detector on their way to being compiled."""

    def __init__(self, detector: Detector, *, words: int, backend: str | Call = "inductor") -> None:
        """`words`: tokens per phrase that the engine sends; others run eager for good."""
        self._detector, self._words = detector, words
        self._done = threading.Event()
        self.failure: str | None = None
        self.layers: list[Layer] = []
        for module, name in detector.layers():
            layer = Layer(cast(Call, getattr(module, name)), backend)
            setattr(module, name, layer)
            self.layers.append(layer)

    @property
    def ready(self) -> bool:
        return self._done.is_set() and self.failure is None

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it ended, well or not, within `seconds`."""
        return self._done.wait(seconds)

    def start(self) -> None:
        """Compile in a thread. A process that ends waits for the layer at hand, and no longer."""
        threading.Thread(target=self.run, name="compile", daemon=True).start()
        atexit.register(self.abandon)

    def abandon(self) -> None:
        """Compile no further layer, and wait a while for the one at hand.

        An interpreter that ends in the middle of a compilation is aborted by its C++ threads.
        """
        for layer in self.layers:
            layer.given_up = True
        self._done.wait(_PATIENCE)

    def run(self) -> None:
        """Compile here and now. A failure is logged, and everything stays eager."""
        started = time.monotonic()
        try:
            torch.compiler.set_stance("default")  # an earlier compilation has left it otherwise
            self._warm_up()
        except Abandoned as news:
            self.failure = str(news)
        except Exception as error:  # noqa: BLE001 - photos go on, whatever a compiler stumbles over
            self.failure = _told(error)
            log.warning("sam3 stays eager, its layers did not compile: %s", self.failure)
        else:
            # From now on a shape that was not foreseen runs eager instead of stopping the device.
            torch.compiler.set_stance("eager_on_recompile")
            for layer in self.layers:
                layer.ready = True
            log.info("sam3 layers compiled in %.1f s", time.monotonic() - started)
        finally:
            self._done.set()

    def _warm_up(self) -> None:
        detector, device = self._detector, self._detector.device
        side, width = detector.image_size, detector.places.shape[-1]
        text = torch.zeros(1, self._words, width, dtype=detector.dtype, device=device)
        mask = torch.ones(1, self._words, dtype=torch.bool, device=device)
        with _compiling(), torch.inference_mode():
            for photos, pairs in _WARM_UP:
                blank = torch.zeros(photos, side, side, 3, dtype=torch.uint8, device=device)
                first = torch.zeros(pairs, dtype=torch.int64, device=device)
                detector.decode(detector.encode(blank), text, mask, first, first)


def _told(error: Exception) -> str:
    """In a line; what a backend says stands in the second line of the compiler's own error."""
    return " ".join(f"{type(error).__name__}: {error}".splitlines()[:2])


def keep_compiled_code_in(folder: Path) -> None:
    """Where compiled kernels are kept between processes, unless TORCHINDUCTOR_CACHE_DIR says so.

    They fit one kind of device and one version of torch; the compiler sees to that by itself.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("compiled code is not kept between processes: %s", error)
        return
    if os.access(folder, os.W_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


@contextmanager
def _compiling() -> Generator[None]:
    _this_thread.compiles = True
    try:
        yield
    finally:
        _this_thread.compiles = False


def _mark_batches(arguments: tuple[object, ...]) -> None:
    """Let one graph serve all batches of two and more; those of one are constants of another."""
    for argument in arguments:
        if isinstance(argument, Tensor):
            if argument.shape[0] > 1:
                torch._dynamo.mark_dynamic(argument, 0)  # pyright: ignore[reportPrivateUsage]
        elif isinstance(argument, tuple):
            _mark_batches(cast(tuple[object, ...], argument))
