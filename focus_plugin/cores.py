"""How many processor cores this process may use, and its libraries."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from focus_plugin.control_groups import control_groups


def available_cores(root: Path = Path("/")) -> int:
    """The number of cores that this process may use, at least 1.

    An affinity mask or a container's quota can allow fewer cores than the machine has. A quota that is not a whole
    number of cores is rounded up. ``root``: the directory with ``proc`` and ``sys``.
    """
    cores, quota = _cores(), min(_quotas(root), default=math.inf)
    return cores if quota >= cores else max(1, math.ceil(quota))


def limit_threads(root: Path = Path("/")) -> None:
    """Let PyTorch, NumPy and SciPy, if they are imported later, use no more threads than a container's quota.

    They know the affinity mask, but not the quota. A number that the user has set in the environment is kept. The
    environment is inherited by child processes, such as fairseq-train. ``root``: as in :func:`available_cores`.
    """
    available = available_cores(root)
    if available < _cores():
        os.environ.setdefault("OMP_NUM_THREADS", str(available))


def _cores() -> int:
    """The number of cores, without any quota."""
    try:
        return len(os.sched_getaffinity(0))  # Linux only
    except AttributeError:
        return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """The quotas, in cores, of the control groups that limit this process."""
    for version, group in control_groups(root, "cpu"):
        quota = _quota_v2(group) if version == 2 else _quota_v1(group)
        if quota is not None:
            yield quota


def _quota_v2(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_v1(group: Path) -> float | None:
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        return None if quota <= 0 else quota / int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None
