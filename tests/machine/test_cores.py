"""The cores that a process may use, under affinity masks and containers' quotas."""

import os
from pathlib import Path

import pytest

from focus_plugin.cores import available_cores


@pytest.fixture
def _machine_of_64_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


def _tree(root: Path, cgroup: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


GROUP = "cpu,cpuacct__docker__1__cpu.cfs_"
V1 = "7:memory:/a\n4:cpu,cpuacct:/docker/1\n"


@pytest.mark.usefixtures("_machine_of_64_cores")
@pytest.mark.parametrize(
    ("cgroup", "files", "cores"),
    [
        ("0::/\n", {"cpu_dot_max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu_dot_max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu_dot_max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu_dot_max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu_dot_max": "12800000 100000\n"}, 64),
        ("0::/pod/one\n", {"pod__one__cpu_dot_max": "max 100000", "pod__cpu_dot_max": "300000 100000"}, 3),
        ("0::/pod/one\n", {"pod__one__cpu_dot_max": "200000 100000", "pod__cpu_dot_max": "300000 100000"}, 2),
        ("0::/on/the/host\n", {"cpu_dot_max": "400000 100000"}, 4),
        ("0::/\n", {"cpu_dot_max": "nonsense"}, 64),
        ("0::/\n", {}, 64),
        ("", {}, 64),
        (V1, {f"{GROUP}quota_us": "200000", f"{GROUP}period_us": "50000"}, 4),
        (V1, {"cpu__cpu.cfs_quota_us": "200000", "cpu__cpu.cfs_period_us": "100000"}, 2),
        (V1, {"cpu__cpu.cfs_quota_us": "-1", "cpu__cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_quotas_are_respected(tmp_path, cgroup, files, cores):
    assert available_cores(_tree(tmp_path, cgroup, **files)) == cores


def test_affinity_is_respected(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8})
    assert available_cores(_tree(tmp_path, "0::/\n", cpu_dot_max="800000 100000")) == 3


def test_systems_without_affinity_or_control_groups(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert available_cores(tmp_path) == 12


def test_this_machine():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
