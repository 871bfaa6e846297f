"""Drawing the sample albums in the background, while the stack starts and earlier albums run."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from infra.samples import ALBUMS, Sample

AT_ONCE = 2


class Drawing:
    """Draws the albums of some presets, in that order, from its creation until closed."""

    def __init__(self, presets: Sequence[str]) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="drawing")
        self._samples: dict[str, list[Future[Sample]]] = {
            preset: [self._pool.submit(make, 1.0) for make in ALBUMS[preset]] for preset in presets
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Begin no more; what is being drawn is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def album(self, preset: str) -> list[Sample]:
        """The samples of one of the presets, as soon as all of them are drawn."""
        return [future.result() for future in self._samples[preset]]
