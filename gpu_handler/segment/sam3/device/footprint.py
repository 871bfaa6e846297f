"""How many bytes the detector takes per photo and per pair, measured and not guessed.

On a GPU by running it, at its own allocator; on a CPU, where that would take minutes, by a dry run
that computes nothing and follows the tensors that a real run would hold.
"""

import gc
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol, TypeVar

import torch
from msgspec import Struct
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from gpu_handler.segment.sam3.network.detector import Detector, Features, Found
from gpu_handler.segment.sam3.words.phrases import LENGTH

T = TypeVar("T")


class Footprint(Struct, frozen=True):
    """Bytes beside the weights.

    Encoding n photos takes `encoding` + n `photo` at its peak, and n `kept` stay; decoding p pairs
    takes `decoding` + p `pair` more.
    """

    encoding: int
    photo: int
    kept: int
    decoding: int
    pair: int

    def peak(self, photos: int, pairs: int) -> int:
        """The most that is held at once while that many are worked on together."""
        encoding = self.encoding + photos * self.photo
        return max(encoding, photos * self.kept + self.decoding + pairs * self.pair)


class Taken(NamedTuple):
    """Bytes that a step took on top of what was held before: at most, and at its end."""

    peak: int
    kept: int


class Meter(Protocol):
    def session(self) -> AbstractContextManager[None]:
        """Around everything that is measured, the making of its tensors included."""
        ...

    def measure(self, step: Callable[[], T]) -> tuple[T, Taken]:
        """Run a step. What it returns counts as kept."""
        ...


def measure_footprint(detector: Detector) -> Footprint:
    """Encode 1 and 2 photos and decode 1 and 4 pairs; see the module for how."""
    meter: Meter = CudaMeter(detector.device) if detector.device.type == "cuda" else DryMeter()
    with torch.inference_mode(), meter.session():
        _, one = meter.measure(lambda: _encode(detector, 1))
        features, two = meter.measure(lambda: _encode(detector, 2))
        _, pair = meter.measure(lambda: _decode(detector, features, 1))
        _, pairs = meter.measure(lambda: _decode(detector, features, 4))
    encoding, photo = _line(1, one.peak, 2, two.peak)
    decoding, each = _line(1, pair.peak, 4, pairs.peak)
    return Footprint(encoding, photo, two.kept // 2, decoding, each)


def _encode(detector: Detector, count: int) -> Features:
    side = detector.image_size
    photos = torch.zeros((count, side, side, 3), dtype=torch.uint8, device=detector.device)
    return detector.encode(photos)


def _decode(detector: Detector, features: Features, pairs: int) -> Found:
    text = features.patches.new_zeros((pairs, LENGTH, features.patches.shape[-1]))
    mask = torch.ones((pairs, LENGTH), dtype=torch.bool, device=detector.device)
    rows = torch.arange(pairs, device=detector.device)
    return detector.decode(features, text, mask, rows * 0, rows)


def _line(x0: int, y0: int, x1: int, y1: int) -> tuple[int, int]:
    """Where the line through two points starts, and what it rises for each step; both round up."""
    rise = max(0, -((y0 - y1) // (x1 - x0)))
    return max(0, y0 - x0 * rise), rise


class CudaMeter:
    """Reads the counters of torch's caching allocator."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @contextmanager
    def session(self) -> Generator[None]:
        yield
        torch.cuda.synchronize(self._device)

    def measure(self, step: Callable[[], T]) -> tuple[T, Taken]:
        """The second run counts: the first one also makes the libraries' workspaces, which stay."""
        step()
        gc.collect()
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        out = step()
        torch.cuda.synchronize(self._device)
        peak = torch.cuda.max_memory_allocated(self._device) - before
        return out, Taken(peak, torch.cuda.memory_allocated(self._device) - before)


class DryMeter:
    """Runs steps on fake tensors: shapes, dtypes, storages and lifetimes are real, no number is.

    They are those of the device that the tensors claim to be on, so that attention takes the same
    kernel. What kernels take and give back inside stays unseen.
    """

    @contextmanager
    def session(self) -> Generator[None]:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield

    def measure(self, step: Callable[[], T]) -> tuple[T, Taken]:
        with _LiveBytes() as live:
            out = step()
        return out, Taken(live.peak, live.now)


class _LiveBytes(TorchDispatchMode):
    """Follows the storages that operations make until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        named = kwargs or {}
        for given in _tensors((args, named)):  # or a view of one would look new
            self._follow(given.untyped_storage(), 0)
        out: object = func(*args, **named)
        for made in _tensors(out):
            self._follow(made.untyped_storage(), made.untyped_storage().nbytes())
        self.peak = max(self.peak, self.now)
        return out

    def _follow(self, storage: torch.UntypedStorage, size: int) -> None:
        key = id(storage)
        if key in self._storages:
            return

        def freed(_: object) -> None:
            del self._storages[key]
            self.now -= size

        self._storages[key] = weakref.ref(storage, freed)
        self.now += size


def _tensors(tree: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_iter(tree) if isinstance(leaf, Tensor))
