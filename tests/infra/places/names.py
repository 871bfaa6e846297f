"""Which variables the programs read, asked of the programs."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import edge_api.settings
import gpu_handler.settings

T = TypeVar("T")

SDK = frozenset({"RUNPOD_LOG_LEVEL", "RUNPOD_INIT_TIMEOUT"})
"""What the worker's SDK and its platform read."""

_SECRET = "0123456789abcdef" * 4
_API = {
    "JWT_SECRET": _SECRET,
    "GPU_CALLBACK_SECRET": _SECRET[::-1],
    "R2_ENDPOINT_URL": "https://bucket.test",
    "R2_ACCESS_KEY_ID": "key",
    "R2_SECRET_ACCESS_KEY": "key",
    "RUNPOD_API_KEY": "key",
    "RUNPOD_ENDPOINT_ID": "endpoint",
    "PUBLIC_URL": "https://api.test",
}
_HANDLER = {
    "STORAGE_S3_ENDPOINT": "https://bucket.test",
    "STORAGE_ACCESS_KEY": "key",
    "STORAGE_SECRET_KEY": "key",
    "STORAGE_BUCKET": "bucket",
    "GPU_CALLBACK_SECRET": _SECRET,
}


class Listening(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def api_names() -> set[str]:
    heard = Listening(_API)
    edge_api.settings.Settings.from_env(heard)
    # The bucket has two spellings, and the second is not read where the first is set.
    return heard.asked | {"R2_ACCOUNT_ID"}


def handler_names() -> set[str]:
    heard = Listening(_HANDLER)
    gpu_handler.settings.Settings.from_env(heard)
    return heard.asked


def required_of_the_api() -> set[str]:
    return set(_API)


def required_of_the_handler() -> set[str]:
    return set(_HANDLER)
