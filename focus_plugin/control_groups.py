"""Finds the control groups of Linux that limit this process, for example in a container."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def control_groups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Yield the version (1 or 2) and the directory of each group that may limit ``controller`` for this process.

    These are the group of the process and all groups that contain it; a directory need not exist. ``root``: the
    directory with ``proc`` and ``sys``. Yields nothing if the system has no control groups.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            version, mounts = 2, ("sys/fs/cgroup", "sys/fs/cgroup/unified")
        elif controller in controllers.split(","):
            version, mounts = 1, (f"sys/fs/cgroup/{controllers}", f"sys/fs/cgroup/{controller}")
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        # In a container the path may be that of the host. The group itself is then mounted at the root.
        for mount in dict.fromkeys(mounts):
            for inner in (group, *group.parents):
                yield version, root / mount / inner
