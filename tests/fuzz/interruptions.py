"""Kills commands at random moments or fills their disk, and repeats them: they must end as if nothing had happened."""

import errno
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from commands import wait_for_group
from jobs import JOBS
from sandbox import Outcome, finish, focus, new_place, start

from focus_plugin.manifest import FILE
from focus_plugin.training.release import LOG

_LEAST = 4096  # bytes of a limit on files, so that a line of output can be written


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A command that was not interrupted. seconds: that it took. files: the digests of what it left, by name.
    largest: the size of the largest of them in bytes. size: that of all."""

    seconds: float
    files: dict[str, str]
    largest: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """A command that was interrupted and repeated. how: in words. outcomes: of both. faults: what went wrong."""

    job: str
    place: Path
    how: str
    outcomes: Sequence[Outcome]
    faults: list[str]

    @property
    def outcome(self) -> Outcome:
        """How the repeated command ended."""
        return self.outcomes[-1]

    def __str__(self) -> str:
        said = (f"    {line[:200]}" for outcome in self.outcomes for line in outcome.said.strip().splitlines()[-8:])
        return "\n".join([f"{self.place}, {self.job}, {self.how}: {', '.join(self.faults)}", *said])


class Interruptions:
    """Interrupts the commands of ``jobs.py`` on the files in ``intact``, in directories below ``work``.

    The directory of a command with faults is kept.
    """

    def __init__(self, intact: Path, work: Path) -> None:
        self._intact, self._work = intact, work
        self._whole: dict[str, Whole] = {}

    def kill(self, job: str, name: str, chance: Random) -> Interrupted:
        """Kill a command at one to three random moments, alone or with its children."""
        place, whole = self.place(job, name), self.whole(job)
        moments = [chance.uniform(0, whole.seconds) for _ in range(chance.choice((1, 1, 2, 3)))]
        outcomes = []
        for moment in moments:
            process = started(job, place)
            time.sleep(moment)
            with suppress(ProcessLookupError):  # it has ended
                (os.killpg if chance.random() < 0.5 else os.kill)(process, signal.SIGKILL)
            outcomes.append(finish(process, place))
            wait_for_group(process)
        how = f"killed after {' and '.join(f'{moment:.2f} s' for moment in moments)}"
        return self._repeated(job, place, how, outcomes, [])

    def limit_files(self, job: str, name: str, chance: Random) -> Interrupted:
        """Let no file grow beyond a random size, as with ``ulimit -f``."""
        place, most = self.place(job, name), chance.randint(_LEAST, max(_LEAST + 1, self.whole(job).largest))

        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

        outcome = finish(started(job, place, limited), place)
        how = f"no file larger than {most} bytes"
        return self._repeated(job, place, how, [outcome], _faults_of_a_full_disk(outcome, place))

    def fill_disk(self, job: str, name: str, chance: Random) -> Interrupted:
        """Let the output be on a small disk that is full at some time."""
        place, whole = self.place(job, name), self.whole(job)
        disk = place / "files" / "disk"
        disk.mkdir()
        size = chance.randint(1, max(2, whole.size * 2 // 4096)) * 4096
        with mounted(disk, size):
            outcome = finish(started(job, place, output="disk/"), place)
            faults = _faults_of_a_full_disk(outcome, disk)
            subprocess.run(["mount", "-o", "remount,size=1g", disk], check=True)
            again = finish(started(job, place, output="disk/"), place)
            files = digests(disk)
        return Interrupted(
            job=job,
            place=place,
            how=f"with a disk of {size} bytes",
            outcomes=[outcome, again],
            faults=[*faults, *_different(files, again, outcome, whole)],
        )

    def whole(self, job: str) -> Whole:
        """The command without interruption."""
        if job not in self._whole:
            place = self.place(job, f"whole-{job}")
            began = time.monotonic()
            outcome = finish(started(job, place), place)
            assert not outcome.code, outcome.said
            sizes = [path.stat().st_size for path in made_of(place / "files").values()]
            self._whole[job] = Whole(
                seconds=time.monotonic() - began,
                files=digests(place / "files"),
                largest=max(sizes),
                size=sum(sizes),
            )
        return self._whole[job]

    def place(self, job: str, name: str) -> Path:
        """A new directory with what the command reads."""
        named = dict.fromkeys(word.split("/")[0] for word in JOBS[job].split())
        new_place(self._intact, [name for name in named if (self._intact / name).exists()], self._work / name)
        return self._work / name

    def _repeated(self, job: str, place: Path, how: str, outcomes: list[Outcome], faults: list[str]) -> Interrupted:
        again = finish(started(job, place), place)
        faults = [*faults, *_different(digests(place / "files"), again, outcomes[-1], self.whole(job))]
        if not faults:
            shutil.rmtree(place)
        return Interrupted(job=job, place=place, how=how, outcomes=[*outcomes, again], faults=faults)


def started(job: str, place: Path, before: Callable[[], None] = lambda: None, output: str = "") -> int:
    """Start a command with its own group of processes. ``before``: called in the child first. ``output``: beginning of
    its name."""
    words = JOBS[job].replace("--output ", f"--output {output}").split()

    def work() -> None:
        os.setsid()
        before()
        focus(*words, "--skip-resource-check")

    return start(work, place, limited=False)


def _faults_of_a_full_disk(outcome: Outcome, directory: Path) -> list[str]:
    """What is wrong with the end of a command on a disk that may have been full."""
    if not outcome.code:
        return []
    said = re.findall(r"^Error: .*", outcome.said, re.MULTILINE)
    faults = []
    if outcome.code != 1 or len(said) != 1 or "Traceback" in outcome.said:
        faults.append(f"exit code {outcome.code} and {len(said)} errors")
    words = (os.strerror(errno.ENOSPC), os.strerror(errno.EFBIG), "disk full")
    if said and not any(word in said[0] for word in words):
        faults.append("the error does not say that the disk is full")
    left = [path.name for path in directory.rglob("*") if path.name.startswith(".")]
    return [*faults, *(f"left {name}" for name in left)]


def _different(files: dict[str, str], again: Outcome, before: Outcome, whole: Whole) -> list[str]:
    """What is wrong with a command that was repeated. ``before``: how it ended before that."""
    complete = not before.code or "already exists" in again.said
    faults = [f"exit code {again.code}"] if again.code and not complete else []
    if different := sorted(name for name in {*files, *whole.files} if files.get(name) != whole.files.get(name)):
        faults.append(f"{', '.join(different[:9])} differ")
    return faults


@contextmanager
def mounted(directory: Path, size: int) -> Iterator[None]:
    """A disk of ``size`` bytes in memory at ``directory`` during the block."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def made_of(directory: Path) -> dict[str, Path]:
    """The files of an output below a directory, finished or not, by name."""
    names = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}
    return {name: path for name, path in names.items() if "output" in name.split("/")[0]}


def digests(directory: Path) -> dict[str, str]:
    """The SHA-256 of these files. A training's log, and so its size in ``focus.json``, has times and differs."""
    made = {name: path.read_bytes() for name, path in made_of(directory).items() if not name.endswith(f"/{LOG}")}
    made = {name: _without_log(content) if name.endswith(f"/{FILE}") else content for name, content in made.items()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}


def _without_log(manifest: bytes) -> bytes:
    found = json.loads(manifest)
    found["files"].pop(LOG, None)
    return json.dumps(found).encode()
