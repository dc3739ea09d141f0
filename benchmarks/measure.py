"""How long something takes, and how much memory and disk one of our commands uses at most."""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SECONDS_BETWEEN_LOOKS = 0.05
_PAUSE = 10  # a look at a large process slows it, so the pause is at least this many times as long
_STARTER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""  # a small process: the peak that Linux reports is never less than that of the process which started the command


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a command used.

    seconds: until it ended. memory: bytes that its processes held at most, together; a file that several have mapped
    counts once. disk: bytes that were added below a directory at most, at one time.
    """

    seconds: float
    memory: int
    disk: int


def seconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(*command: object) -> tuple[float, int]:
    """Run one of our commands; its seconds and its peak memory in bytes. Stops the program if it fails."""
    measured = run_beside(None, *command)
    return measured.seconds, measured.memory


def run_beside(place: Path | None, *command: object) -> Usage:
    """Run one of our commands, which writes below the directory ``place``. Stops the program if it fails.

    The memory of several processes together is read from ``/proc`` while they run, and the peak of the largest one is
    what Linux reports at the end.
    """
    words = [str(word) for word in command]
    before, memory, disk = _size(place), 0, 0
    start = time.perf_counter()
    program = f"{sysconfig.get_path('scripts')}/{words[0]}"
    starter = [sys.executable, "-I", "-S", "-c", _STARTER]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([*starter, program, *words[1:]], stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            looked = time.perf_counter()
            memory, disk = max(memory, _memory(process.pid)), max(disk, _size(place) - before)
            time.sleep(max(_SECONDS_BETWEEN_LOOKS, _PAUSE * (time.perf_counter() - looked)))
        took = time.perf_counter() - start
        errors.seek(0)
        said = errors.read().splitlines()
    if process.returncode:
        raise SystemExit("\n".join([*said[:-1], f"{' '.join(words)} failed"]))
    memory = max(memory, 1024 * int(said[-1]))
    return Usage(seconds=took, memory=memory, disk=max(disk, _size(place) - before))


def _memory(starter: int) -> int:
    """Bytes that the descendants of a process hold."""
    processes = [starter]
    for parent in processes:
        processes += map(int, _read(parent, f"task/{parent}/children").split())
    shares = [_kilobytes(_read(each, "smaps_rollup")) for each in processes[1:]]
    own = sum(share.get("Pss_Anon", 0) for share in shares)
    files = max((share.get("Rss", 0) - share.get("Anonymous", 0) for share in shares), default=0)
    return 1024 * (own + files)


def _read(pid: int, name: str) -> str:
    """A file of ``/proc/PID``; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def _kilobytes(content: str) -> dict[str, int]:
    """The entries of a file of ``/proc/PID`` that are in kB."""
    lines = (line.split() for line in content.splitlines() if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) for words in lines}


def _size(place: Path | None) -> int:
    """Bytes of all files below ``place``."""
    if place is None:
        return 0
    total = 0
    for directory, _, names in os.walk(place):  # which passes over directories that are removed meanwhile
        for name in names:
            with suppress(OSError):  # removed meanwhile
                total += os.stat(os.path.join(directory, name)).st_size
    return total
