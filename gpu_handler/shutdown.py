"""The end of the process, by a signal or its own wish: finish what is in flight, then leave before
the platform sends more."""

import asyncio
import logging
import signal
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)

LOOK_AGAIN = 0.2
"""Seconds between two looks whether the last job is reported."""


class ShutdownHook:
    """Goes before the SDK's own signal handlers, which it calls as well.

    The SDK leaves only when its long poll returns, up to 90 seconds later, and loses a job that
    arrives meanwhile. So this leaves as soon as `is_idle` says that nothing is left to report.
    """

    def __init__(self, drain: Callable[[], None], is_idle: Callable[[], bool]) -> None:
        self._drain = drain
        self._is_idle = is_idle
        self._installed = False
        self._leaving = False

    def install(self) -> None:
        """Called in the running event loop, in the main thread; the second call does nothing.

        The SDK sets its handlers when its loop starts, so an earlier hook would be lost.
        """
        if self._installed:
            return
        self._installed = True
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._chain(number, loop)

    def leave(self) -> None:
        """As a signal would, without one. Called in the running event loop."""
        self._leave(asyncio.get_running_loop())

    def _chain(self, number: signal.Signals, loop: asyncio.AbstractEventLoop) -> None:
        previous = signal.getsignal(number)

        def hook(signum: int, frame: FrameType | None) -> None:
            # Without the wake-up that call_soon_threadsafe gives, a quiet loop would not notice.
            loop.call_soon_threadsafe(self._leave, loop)
            if callable(previous):
                previous(signum, frame)

        try:
            signal.signal(number, hook)
        except ValueError:
            log.warning("not in the main thread: %s is left to others", number.name)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._leaving:
            return
        self._leaving = True
        log.info("shutting down: photos in flight are finished, no other is begun")
        self._drain()
        loop.call_later(LOOK_AGAIN, self._leave_when_idle, loop)

    def _leave_when_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_idle():
            raise SystemExit(0)
        loop.call_later(LOOK_AGAIN, self._leave_when_idle, loop)
