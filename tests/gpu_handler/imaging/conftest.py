"""What these tests share: a writer of HEIC photos."""

from collections.abc import Callable

import pytest

from tests.gpu_handler.imaging.heic import write_heic

HeicWriter = Callable[..., bytes]


@pytest.fixture(scope="session", name="write_heic")
def _write_heic() -> HeicWriter:
    return write_heic
