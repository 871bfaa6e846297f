"""Object stores that do not do their part."""

import threading

from shared.objects import ObjectInfo, StorageUnavailable


class DownLister:
    """Every call fails as it does where the store cannot be reached."""

    def list(self, prefix: str) -> list[ObjectInfo]:
        raise StorageUnavailable(f"list {prefix}: EndpointConnectionError", retryable=True)

    def ready(self) -> None:
        raise StorageUnavailable("open bucket s3-images: EndpointConnectionError", retryable=True)


class BrokenLister:
    """Every call fails as nothing should: a mistake in our own code."""

    secret = "canary-of-the-inner-workings"

    def list(self, prefix: str) -> list[ObjectInfo]:
        raise RuntimeError(f"{self.secret} while listing {prefix}")

    def ready(self) -> None:
        raise RuntimeError(self.secret)


class HangingLister:
    """Every call waits until it is released."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.release = threading.Event()

    def list(self, prefix: str) -> list[ObjectInfo]:
        self.asked.set()
        self.release.wait(60)
        return []

    def ready(self) -> None:
        self.release.wait(60)
