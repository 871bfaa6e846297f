"""Where each photo of an album is: bars that move on a terminal, plain lines elsewhere."""

import threading
import time
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text


class Stage(Enum):
    """The way of a photo, in order; a photo may skip stages that pass too quickly to be seen."""

    WAITING = "waiting"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    QUEUED = "queued"
    WORKING = "being painted"
    FETCHING = "downloading results"
    SAVED = "saved"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (Stage.SAVED, Stage.FAILED)


STEPS = {stage: min(place, 6) for place, stage in enumerate(Stage)}
"""How many of six steps are behind a photo."""


class AlbumProgress(Protocol):
    """Told from several threads what becomes of the photos of one album."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def move(self, idx: int, stage: Stage, note: str = "") -> None:
        """The photo has come to `stage`; nothing happens where it is there already."""
        ...


def album_progress(console: Console, title: str, names: list[str]) -> AlbumProgress:
    """Bars where the console is a terminal, else lines."""
    kind = BarProgress if console.is_terminal else LineProgress
    return kind(console, title, names)


class BarProgress:
    """A bar for each photo, redrawn in place."""

    def __init__(self, console: Console, title: str, names: list[str]) -> None:
        self._console = console
        self._title = title
        self._stages = dict.fromkeys(range(len(names)), Stage.WAITING)
        self._bars = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=24),
            _StageColumn(),
            _SecondsColumn(),
            console=console,
        )
        self._tasks: list[TaskID] = [
            self._bars.add_task(name, total=STEPS[Stage.SAVED], stage=Stage.WAITING, note="")
            for name in names
        ]

    def __enter__(self) -> Self:
        self._console.print(Text(self._title, style="bold"))
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def move(self, idx: int, stage: Stage, note: str = "") -> None:
        if self._stages[idx] is not stage:
            self._stages[idx] = stage
            self._bars.update(self._tasks[idx], completed=STEPS[stage], stage=stage, note=note)


class LineProgress:
    """A line whenever a photo gets on, for logs and pipes."""

    def __init__(self, console: Console, title: str, names: list[str]) -> None:
        self._console = console
        self._title = title
        self._names = names
        self._stages = dict.fromkeys(range(len(names)), Stage.WAITING)
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._say(self._title)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lines stand as they are."""

    def move(self, idx: int, stage: Stage, note: str = "") -> None:
        with self._lock:
            if self._stages[idx] is not stage:
                self._stages[idx] = stage
                seconds = time.monotonic() - self._started
                words = f"{stage.value}: {note}" if note else stage.value
                self._say(f"  {seconds:6.1f} s  {self._names[idx]}  {words}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _StageColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        stage: Stage = task.fields["stage"]
        note: str = task.fields["note"]
        style = {Stage.SAVED: "green", Stage.FAILED: "bold red"}.get(stage, "cyan")
        return Text(f"{stage.value}: {note}" if note else stage.value, style=style)


class _SecondsColumn(ProgressColumn):
    """Until the last step; then it stands still."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished else task.elapsed
        return Text("" if seconds is None else f"{seconds:.1f} s", style="dim")
