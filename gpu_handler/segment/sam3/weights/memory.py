"""How many bytes are free on a device, before anything large is put there."""

import re
from collections.abc import Iterator
from pathlib import Path

import torch

from gpu_handler.segment.sam3.weights.refusals import MemoryShort

GB = 10**9


def free_bytes(device: torch.device) -> int | None:
    """What this process can still allocate on it, in bytes; None where nobody knows."""
    if device.type == "cuda":
        # What the allocator holds and does not use is ours too, and not in the driver's figure.
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + idle
    return free_host_bytes() if device.type == "cpu" else None


def require(needed: int, what: str, device: torch.device, free: int | None) -> None:
    """Raises MemoryShort where `needed` bytes for `what` are more than `free`."""
    if free is not None and needed > free:
        raise MemoryShort(
            f"{what} needs {needed / GB:.1f} GB on {device}, {free / GB:.1f} GB are free"
        )


def free_host_bytes(
    proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """The least of what the machine and each control group (v1, v2) leave; None outside Linux.

    Pages of files that the kernel can drop count as free: weights just downloaded are such.
    """
    rests = [*_machine(proc / "meminfo"), *_control_groups(proc / "self" / "cgroup", groups)]
    return min(rests, default=None)


def _machine(meminfo: Path) -> Iterator[int]:
    if found := re.search(r"^MemAvailable:\s+(\d+) kB", _read(meminfo), re.MULTILINE):
        yield int(found[1]) * 1024


def _control_groups(membership: Path, root: Path) -> Iterator[int]:
    for line in _read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            yield from _rests(root, path, "memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
            yield from _rests(root / "memory", path, *names)


def _rests(root: Path, path: str, limit: str, usage: str, prefix: str) -> Iterator[int]:
    # Every group above limits too. Inside a container the path may be the host's, and not exist.
    inner = root / path.strip("/")
    for group in (inner, *inner.parents):
        if group.is_relative_to(root) and (most := _number(group / limit)) is not None:
            stat = _read(group / "memory.stat")
            pages = rf"^{prefix}(?:in)?active_file (\d+)$"
            droppable = sum(map(int, re.findall(pages, stat, re.MULTILINE)))
            used = _number(group / usage) or 0
            yield max(most - max(used - droppable, 0), 0)


def _number(file: Path) -> int | None:
    text = _read(file).strip()
    return int(text) if text.isdecimal() else None  # "max" is no limit


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")
    except OSError:
        return ""
