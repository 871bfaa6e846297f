"""CUDA graphs for small batches, where launching kernels takes longer than running them.

A decode of one pair is several hundred kernels of a few microseconds each: recorded once and
replayed, they follow one another without the host. Large batches keep the device busy anyway, and
their recordings would hold gigabytes.
"""

import logging
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeAlias, TypeVar, cast

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Out = TypeVar("Out", bound=tuple[Tensor, ...])
Tree = Tensor | tuple[Tensor, ...]

_WARM_UPS = 3
"""Runs before a recording: in the first, libraries choose kernels and take their workspaces."""


class Recording(Generic[Out]):
    """One recorded call for one set of shapes."""

    def __init__(self, call: Callable[..., Out], arguments: tuple[Tree, ...], pool: object) -> None:
        self._inputs = tuple(_clone(argument) for argument in arguments)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                call(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # "thread_local": other threads may copy pictures to the device meanwhile.
        mode, handle = "thread_local", cast(Any, pool)
        with torch.cuda.graph(self._graph, pool=handle, capture_error_mode=mode):
            self._out = call(*self._inputs)

    def __call__(self, arguments: tuple[Tree, ...]) -> Out:
        """The answer lies in the recording's own memory, and the next replay overwrites it."""
        for own, given in zip(self._inputs, arguments, strict=True):
            _copy(own, given)
        self._graph.replay()
        return self._out


Replay: TypeAlias = Callable[[tuple[Tree, ...]], Out]


class Recorded(Generic[Out]):
    """A function of tensors, recorded for batches that `small` agrees to and called for others.

    Answers are valid until the next call. Arguments are tensors or named tuples of tensors; calls
    come from one thread, under inference mode. Shapes whose recording fails, for want of memory or
    otherwise, are called for good.
    """

    def __init__(
        self,
        call: Callable[..., Out],
        small: Callable[..., bool],
        record: Callable[[Callable[..., Out], tuple[Tree, ...]], Replay[Out]] | None = None,
    ) -> None:
        """`record` runs a call and answers what replays it; a CUDA graph where none is given."""
        self._call, self._small = call, small
        self._record = record or _Recorder[Out]()
        self._recordings: dict[Hashable, Replay[Out] | None] = {}

    def __call__(self, *arguments: Tree) -> Out:
        if not self._small(*arguments):
            return self._call(*arguments)
        shapes = tuple(_shapes(argument) for argument in arguments)
        if shapes not in self._recordings:
            self._recordings[shapes] = self._try(arguments)
        replay = self._recordings[shapes]
        return self._call(*arguments) if replay is None else replay(arguments)

    def _try(self, arguments: tuple[Tree, ...]) -> Replay[Out] | None:
        try:
            return self._record(self._call, arguments)
        except RuntimeError as error:
            # Not enough memory, or a call that cannot be recorded. A device that is lost says so
            # again in the call that comes next.
            reason = str(error).partition("\n")[0]
            log.warning("no CUDA graph, this batch is launched kernel by kernel: %s", reason)
            return None


class _Recorder(Generic[Out]):
    """Recordings of one function share their working memory: they never run side by side."""

    def __init__(self) -> None:
        self._pool: object = None

    def __call__(self, call: Callable[..., Out], arguments: tuple[Tree, ...]) -> Replay[Out]:
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        return Recording(call, arguments, self._pool)


def _parts(tree: Tree) -> tuple[Tensor, ...]:
    return (tree,) if isinstance(tree, Tensor) else tuple(tree)


def _shapes(tree: Tree) -> Hashable:
    return tuple((tuple(part.shape), part.dtype) for part in _parts(tree))


def _clone(tree: Tree) -> Tree:
    if isinstance(tree, Tensor):
        return tree.clone()
    return type(tree)(*(part.clone() for part in tree))  # a NamedTuple


def _copy(own: Tree, given: Tree) -> None:
    for target, source in zip(_parts(own), _parts(given), strict=True):
        target.copy_(source, non_blocking=True)
