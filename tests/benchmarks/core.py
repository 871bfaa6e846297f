"""One core and no more: what is measured there does not depend on how many a machine has."""

import os
from collections.abc import Generator
from contextlib import contextmanager

import cv2


@contextmanager
def one_core() -> Generator[None]:
    """Nothing but the first core that this process may use, and no threads inside OpenCV."""
    cores, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {min(cores)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        cv2.setNumThreads(threads)
