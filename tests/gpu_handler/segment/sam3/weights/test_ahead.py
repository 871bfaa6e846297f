"""What is read ahead of the loader: all that it will ask for, and nothing of the text side."""

from pathlib import Path

import msgspec
import pytest

from gpu_handler.segment.sam3.weights.ahead import read_ahead, wanted_spans
from gpu_handler.segment.sam3.weights.folder import TEXT_PREFIXES, detector_tensors, open_folder
from gpu_handler.segment.sam3.weights.headers import read_header
from tests.checkpoints import tiny_model, write_checkpoint, write_video_checkpoint


@pytest.fixture(params=["detector", "video"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write = write_checkpoint if request.param == "detector" else write_video_checkpoint
    return write(tmp_path / "sam3", tiny_model())


def test_spans_hold_every_tensor_of_the_detector_but_its_text_side(folder: Path) -> None:
    checkpoint = open_folder(folder)
    (file,) = checkpoint.files
    spans = list(wanted_spans(file, checkpoint.prefix))
    sizes = {True: 0, False: 0}
    for name, _, entry in detector_tensors([read_header(file)], checkpoint.prefix):
        held = any(start <= entry.start and entry.end <= end for start, end in spans)
        assert held != name.startswith(TEXT_PREFIXES), name
        sizes[held] += entry.size
    assert sum(end - start for start, end in spans) == sizes[True]
    assert sizes[False] > 0
    assert len(spans) <= 3  # long reads, not one for each tensor


def test_reading_ahead_reads_them_all(folder: Path) -> None:
    checkpoint = open_folder(folder)
    (file,) = checkpoint.files
    wanted = sum(end - start for start, end in wanted_spans(file, checkpoint.prefix))
    before = bytes_read()
    read_ahead(checkpoint).join(10)
    assert bytes_read() - before >= wanted


def bytes_read() -> int:
    """By this process, from the page cache or from a disk."""
    told = Path("/proc/self/io").read_text("utf-8")
    return int(told.split()[1])


def test_a_file_that_has_gone_is_left_for_the_loader_to_tell(folder: Path) -> None:
    checkpoint = open_folder(folder)
    gone = msgspec.structs.replace(checkpoint, files=(folder / "gone.safetensors",))
    thread = read_ahead(gone)
    thread.join(10)
    assert not thread.is_alive()
