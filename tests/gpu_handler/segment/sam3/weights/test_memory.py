"""What is free for the weights: the machine's memory and the container's, whichever is less."""

from pathlib import Path

import pytest
import torch

from gpu_handler.segment.sam3.weights.memory import free_bytes, free_host_bytes, require
from gpu_handler.segment.sam3.weights.refusals import MemoryShort

GIB = 2**30


@pytest.fixture
def host(tmp_path: Path) -> Path:
    write(tmp_path / "proc" / "meminfo", f"MemTotal: 1 kB\nMemAvailable:   {8 * 2**20} kB\n")
    return tmp_path


def write(file: Path, text: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n", encoding="ascii")


def free(host: Path) -> int | None:
    return free_host_bytes(host / "proc", host / "groups")


def test_a_machine_without_groups_has_what_it_says(host: Path) -> None:
    assert free(host) == 8 * GIB


def test_what_says_nothing_leaves_it_unknown(tmp_path: Path) -> None:
    assert free(tmp_path) is None


def test_version_2_counts_pages_of_files_as_free(host: Path) -> None:
    write(host / "proc/self/cgroup", "0::/")
    write(host / "groups/memory.max", 4 * GIB)
    write(host / "groups/memory.current", 3 * GIB)
    assert free(host) == GIB
    stat = f"anon 1\ninactive_file {GIB}\nactive_file {GIB // 2}\nfile {3 * GIB}"
    write(host / "groups/memory.stat", stat)
    assert free(host) == 2 * GIB + GIB // 2


def test_version_2_without_a_limit_is_as_large_as_the_machine(host: Path) -> None:
    write(host / "proc/self/cgroup", "0::/job")
    write(host / "groups/job/memory.max", "max")
    write(host / "groups/job/memory.current", 3 * GIB)
    assert free(host) == 8 * GIB


def test_a_group_above_limits_too(host: Path) -> None:
    write(host / "proc/self/cgroup", "0::/pod/job")
    write(host / "groups/pod/job/memory.max", "max")
    write(host / "groups/pod/memory.max", 2 * GIB)
    write(host / "groups/pod/memory.current", GIB)
    assert free(host) == GIB


@pytest.mark.parametrize("path", ["/docker/abc", "/seen/only/by/the/host"])
def test_version_1_with_the_path_of_the_host_or_of_the_container(host: Path, path: str) -> None:
    write(host / "proc/self/cgroup", f"5:cpu,cpuacct:{path}\n4:memory:{path}")
    root = host / "groups/memory"
    group = root / "docker/abc" if path == "/docker/abc" else root
    write(group / "memory.limit_in_bytes", 3 * GIB)
    write(group / "memory.usage_in_bytes", 2 * GIB)
    write(group / "memory.stat", f"inactive_file 5\ntotal_inactive_file {GIB}")
    assert free(host) == 2 * GIB


def test_a_group_over_its_limit_has_nothing_left(host: Path) -> None:
    write(host / "proc/self/cgroup", "0::/")
    write(host / "groups/memory.max", GIB)
    write(host / "groups/memory.current", 2 * GIB)
    assert free(host) == 0


def test_too_little_is_said_in_one_line() -> None:
    device = torch.device("cuda", 0)
    with pytest.raises(MemoryShort, match=r"^sam3 needs 1\.9 GB on cuda:0, 1\.2 GB are free$"):
        require(1_940_000_000, "sam3", device, 1_200_000_000)
    require(1_200_000_000, "sam3", device, 1_200_000_000)
    require(10**15, "sam3", device, None)


def test_this_machine_has_some() -> None:
    # On another system than Linux nobody knows, and nothing is refused.
    told = free_bytes(torch.device("cpu"))
    assert told is None or 0 <= told < 2**60
    assert free_bytes(torch.device("meta")) is None
