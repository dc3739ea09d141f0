"""A command with all its processes: what memory they hold at most, together."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """memory: bytes of the command and its children at most; files that several have mapped count once."""

    memory: int


def run_measured(*arguments: object) -> Measured:
    """Run a command of this environment, which has to succeed, and look at its memory ten times a second."""
    program = Path(sys.executable).parent / str(arguments[0])
    process = subprocess.Popen([str(program), *map(str, arguments[1:])], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        held = [_held(pid) for pid in _tree(process.pid)]
        most = max(most, sum(own for own, _ in held) + max(files for _, files in held))
        time.sleep(0.1)
    assert process.returncode == 0
    return Measured(most)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            found += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        except OSError:
            continue
    return found


def _held(pid: int) -> tuple[int, int]:
    """Bytes of the process's share of what it has not mapped from files, and of the files that it has mapped."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines[1:])}
    return sizes["Pss_Anon"], sizes["Rss"] - sizes["Anonymous"]


def snapshot(directory: Path) -> dict[Path, tuple[int, int]]:
    """Every file below ``directory`` with its size and time."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in directory.rglob("*")}
