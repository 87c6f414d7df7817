"""Cores and memory of a machine that is played by a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from wsproc.engine.machine import available_memory, resident_memory, usable_cores

MB = 2**20


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may run on eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def machine(root: Path, files: Mapping[str, str]) -> Path:
    """Write the files of a system with 1,000 MB of available memory; return its root."""
    meminfo = f"MemTotal: 9999999 kB\nMemAvailable: {1000 * 1024} kB\n"
    for name, text in {"proc/meminfo": meminfo, **files}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def group(folder: str, **files: object) -> dict[str, str]:
    """Return the files of a control group; `memory_max` stands for `memory.max`."""
    return {
        f"sys/fs/cgroup/{folder}/{name.replace('_', '.', 1)}": f"{value}\n"
        for name, value in files.items()
    }


def test_without_groups_the_kernel_is_believed(tmp_path: Path) -> None:
    """What is available is no more and no less than it says, and all cores may be used."""
    root = machine(tmp_path, {})
    assert available_memory(root) == 1000 * MB
    assert usable_cores(root) == 8


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    """Its own use counts, but not pages of files that are idle."""
    files = {
        "proc/self/cgroup": "0::/\n",
        **group("", memory_max=500 * MB, memory_current=300 * MB, cpu_max="150000 100000"),
        **group("", memory_stat=f"anon 5\ninactive_file {50 * MB}"),
    }
    root = machine(tmp_path, files)
    assert available_memory(root) == 250 * MB
    assert usable_cores(root) == 2


def test_the_tightest_group_above_counts(tmp_path: Path) -> None:
    """A service without a limit may stand in a slice that has one."""
    files = {
        "proc/self/cgroup": "0::/slice/service\n",
        **group("slice/service", memory_max="max", memory_current=MB, cpu_max="max 100000"),
        **group("slice", memory_max=90 * MB, memory_current=30 * MB, cpu_max="300000 100000"),
    }
    root = machine(tmp_path, files)
    assert available_memory(root) == 60 * MB
    assert usable_cores(root) == 3


def test_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    """They have a folder for each controller and other names for the same."""
    files = {
        "proc/self/cgroup": "4:memory:/box\n2:cpu,cpuacct:/box\n0::/\n",
        **group("memory/box", memory_limit_in_bytes=80 * MB, memory_usage_in_bytes=20 * MB),
        **group("cpu/box", cpu_cfs_quota_us=100000, cpu_cfs_period_us=100000),
        **group("cpu", cpu_cfs_quota_us=-1, cpu_cfs_period_us=100000),
    }
    root = machine(tmp_path, files)
    assert available_memory(root) == 60 * MB
    assert usable_cores(root) == 1


def test_a_group_beyond_its_limit_leaves_nothing(tmp_path: Path) -> None:
    """Never less than nothing."""
    files = {"proc/self/cgroup": "0::/\n", **group("", memory_max=MB, memory_current=2 * MB)}
    assert available_memory(machine(tmp_path, files)) == 0


def test_a_system_that_says_nothing_is_assumed_to_have_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what is built in, or else two gigabytes."""
    pages = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert available_memory(tmp_path) == 500 * 4096

    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert available_memory(tmp_path) == 2 * 10**9


def test_this_machine_has_something() -> None:
    """The real files are readable where there are any."""
    assert available_memory() > 0
    assert usable_cores() >= 1


def test_what_a_process_holds_is_told_where_the_system_tells(tmp_path: Path) -> None:
    """In bytes; nothing of a process that is gone."""
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/status").write_text("Name:\tpython\nVmRSS:\t  2048 kB\n")
    assert resident_memory(7, tmp_path) == 2048 * 1024
    assert resident_memory(8, tmp_path) is None
