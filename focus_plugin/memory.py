"""How much memory this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path

from focus_plugin.control_groups import control_groups

_FILES = {  # of the limit, the memory in use, and the file cache in it, by the version of control groups
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def available_memory(root: Path = Path("/")) -> int | None:
    """The bytes that this process may use: those that it uses now, and those that are free for it.

    Free memory is limited by the machine and by the container. The file cache counts as free. None if the system does
    not provide these numbers. ``root``: the directory with ``proc`` and ``sys``.
    """
    free = [*_free_on_machine(root), *_free_in_groups(root)]
    return min(free) + _held(root) if free else None


def _free_on_machine(root: Path) -> Iterator[int]:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                yield int(value.split()[0]) * 1024
    except OSError:
        return


def _free_in_groups(root: Path) -> Iterator[int]:
    for version, group in control_groups(root, "memory"):
        limit, used, files = _FILES[version]
        try:
            most, held = int((group / limit).read_text()), int((group / used).read_text())
            pages = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # the group does not exist, or its limit is "max"
            continue
        yield max(0, most - held + int(pages.get(files, 0)))


def _held(root: Path) -> int:
    try:
        return int((root / "proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
