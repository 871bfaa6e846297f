"""The real stack as processes: store, Runpod emulator, API, SDK worker."""

import io
from collections.abc import Generator, Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from infra.client import Job, PaletteClient, RuleAction
from infra.local.stack import Stack
from infra.samples import Sample, album


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """One stack for all tests; whoever kills a part of it waits until it is back."""
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        running.wait_ready()
        yield running


class Phone:
    """What the app does, from sign-up to download."""

    def __init__(self, client: PaletteClient) -> None:
        self.client = client
        self.session = client.sign_up()

    def start(
        self,
        preset: str,
        photos: Sequence[bytes],
        concepts: Mapping[str, RuleAction],
        protect: Sequence[str] | None = None,
    ) -> str:
        created = self.client.create_job(preset, len(photos))
        for target, photo in zip(created.presigned_urls, photos, strict=True):
            self.client.upload(target.url, photo, "image/jpeg")
        self.client.confirm_upload(created.job_id)
        self.client.execute(created.job_id, concepts, protect=protect)
        return created.job_id

    def run(
        self,
        preset: str,
        photos: Sequence[bytes],
        concepts: Mapping[str, RuleAction],
        protect: Sequence[str] | None = None,
    ) -> Job:
        return self.wait(self.start(preset, photos, concepts, protect))

    def wait(self, job_id: str) -> Job:
        return self.client.wait(job_id, poll=0.2, timeout=120)

    def image(self, url: str) -> NDArray[np.uint8]:
        return read_image(self.client.download(url))


@pytest.fixture
def phone(stack: Stack) -> Generator[Phone]:
    with PaletteClient(stack.api_url, trust_env=False) as client:
        yield Phone(client)


def read_image(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def encode(pixels: NDArray[np.uint8], form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@cache
def photos_of(preset: str, scale: float) -> tuple[Sample, ...]:
    """An album, rendered once for all tests."""
    return tuple(album(preset, scale=scale))
