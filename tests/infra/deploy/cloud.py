"""Both clouds on this machine, what the shell of a person who deploys holds, and the file."""

import copy
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from msgspec import Struct

from infra.deploy.command import main
from tests.infra.deploy.r2 import R2
from tests.infra.deploy.runpod_rest import Json, RunpodAccount, create_app
from tests.infra.deploy.serving import served

CALLBACK_SECRET = "callback-secret-" + "c" * 32
FILE = """
[endpoint]
name = "palette"
image = "ghcr.io/example/palette-handler:0.1.0"
gpu_pools = ["ADA_24", "AMPERE_24"]
min_cuda_version = "12.6"
cached_model = "facebook/sam3"
[endpoint.env]
SEGMENTER = "sam3"
CALLBACK_ALLOWED_HOSTS = "127.0.0.1"
[endpoint.env_from]
GPU_CALLBACK_SECRET = "GPU_CALLBACK_SECRET"
STORAGE_ACCESS_KEY = "R2_ACCESS_KEY_ID"
STORAGE_SECRET_KEY = "R2_SECRET_ACCESS_KEY"
[bucket]
name = "s3-images"
cors_origins = ["https://app.example.com"]
input_retention_days = 7
"""


class Cloud(Struct, frozen=True):
    """`environ` is the shell; `file` may be written anew."""

    runpod: RunpodAccount
    r2: R2
    environ: dict[str, str]
    file: Path

    def deploy(self, *arguments: str, typed: str = "") -> int:
        return main(["--file", str(self.file), *arguments], self.environ, lambda _: typed)

    def write(self, old: str = "", new: str = "") -> None:
        """The file, with one change to it."""
        assert old in FILE
        self.file.write_text(FILE.replace(old, new) if old else FILE)

    @property
    def endpoint_id(self) -> str:
        (only,) = self.runpod.endpoints
        return only

    @property
    def writes(self) -> list[str]:
        return [*self.runpod.writes, *self.r2.writes]


@contextmanager
def cloud(folder: Path) -> Generator[Cloud]:
    account, r2 = RunpodAccount(), R2(folder / "r2")
    try:
        with served(create_app(account)) as rest, served(r2) as store:
            yield Cloud(account, r2, {"rest": rest, "store": store}, folder / "deploy.toml")
    finally:
        r2.close()


def opened_anew(shared: Cloud, folder: Path) -> Cloud:
    """The same servers with nothing in them, and a folder and a shell of one's own."""
    shared.runpod.reset()
    shared.r2.reset()
    environ = {
        "RUNPOD_REST_URL": f"{shared.environ['rest']}/v2",
        "RUNPOD_API_KEY": shared.runpod.api_key,
        "R2_ENDPOINT_URL": shared.environ["store"],
        "R2_ACCESS_KEY_ID": "r2-access-key",
        "R2_SECRET_ACCESS_KEY": "r2-secret-key",
        "GPU_CALLBACK_SECRET": CALLBACK_SECRET,
    }
    made = Cloud(shared.runpod, shared.r2, environ, folder / "deploy.toml")
    made.write()
    return made


class Snapshot(Struct, frozen=True):
    """What `apply` made, to be put back without running it again."""

    endpoints: dict[str, Json]
    settings: dict[tuple[str, str], bytes]
    writes: tuple[str, ...]

    @classmethod
    def of(cls, both: Cloud) -> Self:
        endpoints = copy.deepcopy(both.runpod.endpoints)
        return cls(endpoints, dict(both.r2.settings), tuple(both.runpod.writes))

    def restore(self, both: Cloud) -> None:
        both.runpod.endpoints = copy.deepcopy(self.endpoints)
        both.runpod.writes = [*self.writes]
        both.r2.add("s3-images")
        both.r2.settings = dict(self.settings)
