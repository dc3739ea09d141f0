"""The memory that a process may use, on machines and in containers."""

import os
from pathlib import Path

import pytest
from control_group_files import write_groups

from focus_plugin.memory import available_memory

MEGABYTE = 1 << 20
HELD = 25  # pages that the process holds


def _tree(root: Path, cgroup: str, free: int | None = 1000, **files: str) -> Path:
    """``free``: megabytes that the machine has left."""
    write_groups(root, cgroup, **files)
    (root / "proc/self/statm").write_text(f"100 {HELD} 5 1 0 50 0\n")
    if free is not None:
        content = f"MemTotal:  64000000 kB\nMemAvailable: {free * 1024} kB\nBuffers: 5 kB\n"
        (root / "proc/meminfo").write_text(content)
    return root


def _group(most: object, used: int, files: int, at: str = "") -> dict[str, str]:
    """A group of version 2, in megabytes."""
    limit = str(most * MEGABYTE) if isinstance(most, int) else str(most)
    stat = f"anon 5\ninactive_file {files * MEGABYTE}\nactive_file 7\n"
    named = {"memory_dot_max": limit, "memory_dot_current": str(used * MEGABYTE), "memory_dot_stat": stat}
    return {f"{at}{name}": content for name, content in named.items()}


V1 = {
    "memory__docker__1__memory.limit_in_bytes": str(300 * MEGABYTE),
    "memory__docker__1__memory.usage_in_bytes": str(200 * MEGABYTE),
    "memory__docker__1__memory.stat": f"cache 1\ntotal_inactive_file {50 * MEGABYTE}\n",
}


@pytest.mark.parametrize(
    ("cgroup", "files", "free"),
    [
        ("0::/\n", {}, 1000),
        ("0::/\n", _group("max", 100, 0), 1000),
        ("0::/\n", _group(500, 100, 0), 400),
        ("0::/\n", _group(500, 100, 60), 460),
        ("0::/\n", _group(5000, 100, 0), 1000),
        ("0::/\n", _group(500, 700, 0), 0),
        ("0::/pod/one\n", {**_group(500, 100, 0, "pod__one__"), **_group(300, 100, 0, "pod__")}, 200),
        ("0::/on/the/host\n", _group(500, 100, 0), 400),
        ("0::/\n", {**_group(500, 100, 0), "memory_dot_stat": "nonsense"}, 1000),
        ("4:cpu:/a\n7:memory:/docker/1\n", V1, 150),
        ("7:memory:/docker/1\n", {**V1, "memory__docker__1__memory.limit_in_bytes": str(2**63 - 4096)}, 1000),
        ("", {}, 1000),
    ],
)
def test_limits_of_containers_are_respected(tmp_path, cgroup, files, free):
    held = HELD * os.sysconf("SC_PAGE_SIZE")
    assert available_memory(_tree(tmp_path, cgroup, **files)) == free * MEGABYTE + held


def test_nobody_knows(tmp_path):
    assert available_memory(tmp_path) is None
    held = HELD * os.sysconf("SC_PAGE_SIZE")
    assert available_memory(_tree(tmp_path / "a", "0::/\n", free=None, **_group(500, 100, 0))) == 400 * MEGABYTE + held


def test_this_machine():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < available_memory() <= total
