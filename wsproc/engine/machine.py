"""What this process may use of the machine: cores and memory, control groups (containers) included.

`root` is where the system's files are; another one is for tests.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_ASSUMED_MEMORY = 2 * 10**9
"""Bytes that are taken to be available where the system does not tell."""


def usable_cores(root: Path = _ROOT) -> int:
    """Return how many cores this process may keep busy: those it may run on, within its quota."""
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    else:
        there = os.cpu_count() or 1
    return max(1, min([there, *map(math.ceil, _cpu_quotas(root))]))


def available_memory(root: Path = _ROOT) -> int:
    """Return the bytes that this process may still take.

    That is what the kernel says (`MemAvailable`), or what is left below the limit of a control
    group if that is less.
    """
    return min([_system_memory(root), *_group_memory(root)])


def resident_memory(pid: int, root: Path = _ROOT) -> int | None:
    """Return the bytes that a process has in memory; None where the system does not tell."""
    kib = _numbers(root / f"proc/{pid}/status").get("VmRSS:")
    return None if kib is None else kib * 1024


def _system_memory(root: Path) -> int:
    """Return what the kernel takes to be available, or half of all memory where it does not say."""
    known = _numbers(root / "proc/meminfo").get("MemAvailable:")
    if known is not None:
        return known * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return _ASSUMED_MEMORY


def _group_memory(root: Path) -> Iterator[int]:
    """Yield what is left in each group that has a limit; pages of files that are idle count."""
    for folder, version in _groups("memory", root):
        names = _MEMORY_FILES[version]
        limit, used = (_words(folder / name)[:1] for name in names[:2])
        if limit and used and limit[0].isdigit():  # a group without a limit says "max"
            idle = _numbers(folder / "memory.stat").get(names[2], 0)
            yield max(0, int(limit[0]) - int(used[0]) + idle)


_MEMORY_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Yield the cores that each group with a quota may use."""
    for folder, version in _groups("cpu", root):
        names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        match [word for name in names for word in _words(folder / name)]:
            case [quota, period] if quota.isdigit() and period.isdigit():  # none: "max" or -1
                yield int(quota) / int(period)


def _groups(controller: str, root: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders of this process's groups, with their parents, and their version."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        own = Path(path.lstrip("/"))
        for part in (own, *own.parents):
            if not controllers:
                yield root / "sys/fs/cgroup" / part, 2
            elif controller in controllers.split(","):
                yield root / "sys/fs/cgroup" / controller / part, 1


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _numbers(file: Path) -> dict[str, int]:
    """Return the numbers of a file of lines `name number`."""
    words = (line.split() for line in _lines(file))
    return {parts[0]: int(parts[1]) for parts in words if len(parts) > 1 and parts[1].isdigit()}


def _lines(file: Path) -> list[str]:
    """Return the lines of a file, none if it cannot be read."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
