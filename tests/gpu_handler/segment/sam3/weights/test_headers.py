"""Headers of safetensors files: real ones are read, hostile ones are refused for free."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_handler.segment.sam3.weights.headers import Entry, read_header
from gpu_handler.segment.sam3.weights.refusals import (
    CheckpointError,
    WeightsDamaged,
    WeightsIncomplete,
)
from tests.gpu_handler.segment.sam3.weights_on_disk import safetensors, with_header


def refusal(folder: Path, data: bytes) -> CheckpointError:
    file = folder / "model.safetensors"
    file.write_bytes(data)
    with pytest.raises(CheckpointError) as refused:
        read_header(file)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)
    return refused.value


def one(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return json.dumps({"a": entry}).encode()


def test_tensors_come_with_their_place_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    data = safetensors({"b": [2, 3], "a": [], "none": [0, 4]})
    file.write_bytes(data)
    base = len(data) - 28

    assert list(read_header(file).tensors.items()) == [
        ("b", Entry("F32", (2, 3), base, base + 24)),
        ("a", Entry("F32", (), base + 24, base + 28)),
        ("none", Entry("F32", (0, 4), base + 28, base + 28)),
    ]


@pytest.mark.parametrize("kept", [0, 5, 8, 60, -1])
def test_a_file_cut_short_says_so(tmp_path: Path, kept: int) -> None:
    error = refusal(tmp_path, safetensors()[:kept])
    assert isinstance(error, WeightsIncomplete)
    assert "is cut short" in str(error)


def test_a_git_lfs_pointer_says_so(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3438989968\n"
    assert "is a Git LFS pointer" in str(refusal(tmp_path, pointer))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((2**63).to_bytes(8, "little") + b"{}", "claims 9223372036854775808 bytes"),
        (with_header(b"{"), "not what it should be"),
        (with_header(b"[]"), "not what it should be"),
        (with_header(b"\xff" * 9), "not what it should be"),
        (with_header(b'{"a":' + b"[" * 100_000), "not what it should be"),
        (with_header(b'{"a": {}}'), "not what it should be"),
        (with_header(one(shape=[1.5])), "not what it should be"),
        (with_header(one(offsets=[0])), "not what it should be"),
        (with_header(one(dtype="F32\nF99")), "has the unknown type"),
        (with_header(one(shape=[-2], offsets=[0, -8])), "an impossible shape"),
        (with_header(one(shape=[2**62] * 100_000)), "an impossible shape"),
        (with_header(one(shape=[2**62, 2**62])), "does not fit its bytes"),
        (with_header(one(offsets=[-8, 0]), bytes(8)), "does not fit its bytes"),
        (with_header(one(offsets=[8, 0]), bytes(8)), "does not fit its bytes"),
        (with_header(one(offsets=[4, 12]), bytes(12)), "overlap or leave gaps"),
        (with_header(one(), bytes(9)), "1 bytes follow its last tensor"),
    ],
)
def test_a_hostile_header_is_damage_and_allocates_nothing(
    tmp_path: Path, data: bytes, says: str
) -> None:
    tracemalloc.start()
    error = refusal(tmp_path, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert isinstance(error, WeightsDamaged)
    assert says in str(error)
    assert peak < 16 * len(data) + 2**20


def test_tensors_that_overlap_are_damage(tmp_path: Path) -> None:
    entries = {
        name: {"dtype": "F32", "shape": [2], "data_offsets": [start, start + 8]}
        for name, start in (("a", 0), ("b", 4))
    }
    error = refusal(tmp_path, with_header(json.dumps(entries).encode(), bytes(12)))
    assert "overlap or leave gaps" in str(error)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_opened(tmp_path: Path, make: object) -> None:
    place = tmp_path / "model.safetensors"
    assert callable(make)
    make(place)
    with pytest.raises(WeightsDamaged, match="is not a regular file"):
        read_header(place)


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WeightsDamaged, match="cannot be read: No such file"):
        read_header(tmp_path / "gone.safetensors")


@given(at=st.integers(0, 10**6), to=st.integers(0, 255), cut=st.integers(0, 100))
def test_no_change_of_a_byte_ends_in_anything_but_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, at: int, to: int, cut: int
) -> None:
    data = bytearray(safetensors({"ab": [2], "c": [1, 1]}))
    data[at % len(data)] = to
    file = tmp_path_factory.getbasetemp() / "changed.safetensors"
    file.write_bytes(data[: len(data) - cut])
    try:
        tensors = read_header(file).tensors
    except CheckpointError:
        return
    assert cut == 0
    assert max((e.end for e in tensors.values()), default=len(data)) == len(data)
