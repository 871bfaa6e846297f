"""Signals: the first one unwinds everything in order, the second one leaves at once."""

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


def unwind_on_signals() -> None:
    """From now on these signals raise KeyboardInterrupt in the main thread, once."""
    for number in SIGNALS:
        # Under nohup the end of the terminal is nothing to listen to.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _unwind)


def _unwind(_: int, __: FrameType | None) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    raise KeyboardInterrupt


def _leave(_: int, __: FrameType | None) -> None:
    """What the stack started is killed by its guardians when this process is gone."""
    os._exit(INTERRUPTED)
