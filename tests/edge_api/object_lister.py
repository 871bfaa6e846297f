"""Object stores that do not do their part."""

import threading
from collections.abc import Sequence

from shared.objects import ObjectInfo, StorageUnavailable


class DownLister:
    """Every call fails as it does where the store cannot be reached."""

    def delete(self, keys: Sequence[str]) -> None:
        raise StorageUnavailable(f"delete {len(keys)} objects: closed", retryable=True)

    def list(self, prefix: str) -> list[ObjectInfo]:
        raise StorageUnavailable(f"list {prefix}: EndpointConnectionError", retryable=True)

    def ready(self) -> None:
        raise StorageUnavailable("open bucket s3-images: EndpointConnectionError", retryable=True)


class BrokenLister:
    """Every call fails as nothing should: a mistake in our own code."""

    secret = "canary-of-the-inner-workings"

    def delete(self, keys: Sequence[str]) -> None:
        raise RuntimeError(f"{self.secret} while deleting {len(keys)}")

    def list(self, prefix: str) -> list[ObjectInfo]:
        raise RuntimeError(f"{self.secret} while listing {prefix}")

    def ready(self) -> None:
        raise RuntimeError(self.secret)


class HangingLister:
    """Every call waits until it is released."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.release = threading.Event()

    def delete(self, keys: Sequence[str]) -> None:
        self.release.wait(60)

    def list(self, prefix: str) -> list[ObjectInfo]:
        self.asked.set()
        self.release.wait(60)
        return []

    def ready(self) -> None:
        self.release.wait(60)
