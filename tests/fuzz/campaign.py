"""Damages files at random and runs the commands that read them. See ``scripts/fuzz --help``."""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path
from random import Random

from intact_files import make_intact_files
from interruptions import Interrupted, Interruptions
from jobs import JOBS
from mutations import CANARY, mutated
from readers import READERS, Reader
from sandbox import Outcome, faults, focus, import_all, in_child, new_place


@dataclass(frozen=True, kw_only=True)
class Case:
    """A damaged file that a command read. place: where both are. faults: what the command did wrong."""

    reader: Reader
    place: Path
    outcome: Outcome
    faults: list[str]

    def __str__(self) -> str:
        said = (f"    {line[:200]}" for line in self.outcome.said.strip().splitlines()[-8:])
        head = f"{self.place}, {self.reader.file}: {', '.join(self.faults)}"
        return "\n".join([head, f"  focus {self.reader.words}", *said])


def run_cases(intact: Path, work: Path, seed: int, numbers: range) -> Iterator[Case]:
    """Damage a file and run its command, once for each number. The directory of a case with faults is kept.

    The file and its damage depend only on ``seed`` and the number.
    """
    for number in numbers:
        case = _damaged(intact, work / str(number), READERS[number % len(READERS)], Random(f"{seed} {number}"))
        if not case.faults:
            shutil.rmtree(case.place)
        yield case


def _damaged(intact: Path, place: Path, reader: Reader, chance: Random) -> Case:
    files = new_place(intact, inputs := reader.inputs(intact), place)
    file = files / reader.file
    file.write_bytes(mutated(file.read_bytes(), reader.kind, chance))
    if reader.signed and chance.random() < 0.7:
        _sign(file)
    before = {*files.rglob("*")}
    outcome = in_child(lambda: focus(*shlex.split(reader.words)), place)
    found = faults(outcome, inputs)
    if (files / CANARY).exists():
        found.append("code in the file was run")
    # The results so far of focus predict may stay.
    left = [path.name for path in {*files.rglob("*")} - before if ".unfinished" not in path.name]
    if outcome.code and left:
        found.append(f"left {', '.join(left)}")
    return Case(reader=reader, place=place, outcome=outcome, faults=found)


def _sign(file: Path) -> None:
    """Adapt the size and digest in ``config.json`` beside a file of an export, as its author could."""
    path = file.with_name("config.json")
    if file != path:
        config = json.loads(path.read_text(encoding="utf-8"))
        content = file.read_bytes()
        config["files"][file.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        path.write_text(json.dumps(config), encoding="utf-8")


def intact_cases(intact: Path, work: Path) -> Iterator[Case]:
    """Every command of ``READERS`` on intact files; its fault is any exit code other than 0."""
    for number, reader in enumerate(READERS):
        new_place(intact, reader.inputs(intact), place := work / f"intact-{number}")
        outcome = in_child(lambda: focus(*shlex.split(reader.words)), place)  # noqa: B023
        shutil.rmtree(place)
        found = [f"exit code {outcome.code}"] if outcome.code else []
        yield Case(reader=reader, place=place, outcome=outcome, faults=found)


def make_intact(directory: Path) -> Path:
    """The intact files in a new directory below ``directory``."""
    import_all()
    files = new_place(directory, (), directory / "intact")
    outcome = in_child(make_intact_files, files.parent, limited=False)
    assert not outcome.code, outcome.said
    return files


def interrupted_cases(intact: Path, work: Path, seed: int, kills: int, full_disks: int) -> Iterator[Interrupted]:
    """Every command of ``JOBS`` in turn, as often as ``kills`` and ``full_disks`` say."""
    interruptions = Interruptions(intact, work)
    full = [interruptions.limit_files, *([interruptions.fill_disk] if os.geteuid() == 0 else [])]
    ways = [*[interruptions.kill] * kills, *islice(cycle(full), full_disks)]
    for number, (interrupt, job) in enumerate(zip(ways, cycle(JOBS), strict=False)):
        yield interrupt(job, f"interrupted-{number}", Random(f"{seed} {number}"))


def main() -> None:
    """Run a campaign, print the faults, and fail if there are any."""
    what = "Damages files at random and runs the commands that read them; interrupts commands and repeats them."
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=what)
    parser.add_argument("--seed", type=int, default=1, help="random seed")
    parser.add_argument("--inputs", type=int, default=500, help="number of damaged files")
    parser.add_argument("--first", type=int, default=0, help="number of the first one, to repeat a part of a campaign")
    parser.add_argument("--kills", type=int, default=0, help="number of commands that are killed at random moments")
    parser.add_argument("--full-disks", type=int, default=0, help="number of commands whose disk gets full")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="focus-fuzz-"))
    intact, codes, failed = make_intact(work), Counter[int](), 0
    numbers = range(options.first, options.first + options.inputs)
    damaged = run_cases(intact, work, options.seed, numbers)
    interrupted = interrupted_cases(intact, work, options.seed, options.kills, options.full_disks)
    for case in chain(intact_cases(intact, work), damaged, interrupted):
        codes[case.outcome.code] += 1
        if case.faults:
            failed += 1
            print(case, flush=True)
    print(f"{sum(codes.values())} commands: {codes[0]} did their work, {codes[1]} refused it, {failed} with faults.")
    if failed:
        sys.exit(f"The directories are in {work}.")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
