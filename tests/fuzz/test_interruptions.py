"""Commands that are killed, have no room, may not read or write, or are not alone; ``scripts/fuzz`` does more of it."""

import ctypes
import os
from pathlib import Path
from random import Random

import pytest
from interruptions import Interruptions, digests, made_of, started
from jobs import JOBS
from sandbox import Outcome, finish

QUICK = ("convert", "prepare", "export", "predict")  # the others start fairseq-train, which takes seconds
CENTURY = 100 * 365 * 24 * 3600


@pytest.fixture(scope="module")
def interruptions(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> Interruptions:
    return Interruptions(intact, tmp_path_factory.mktemp("interruptions"))


@pytest.mark.parametrize("job", QUICK)
def test_a_command_that_was_killed_ends_as_if_it_had_not_been(interruptions: Interruptions, job: str) -> None:
    for number in range(2):
        case = interruptions.kill(job, f"kill-{job}-{number}", Random(number))
        assert not case.faults, str(case)


@pytest.mark.parametrize("job", QUICK)
def test_a_full_disk_is_told_and_a_command_ends_when_there_is_room(interruptions: Interruptions, job: str) -> None:
    case = interruptions.limit_files(job, f"limit-{job}", Random(1))
    assert case.outcomes[0].code == 1
    assert not case.faults, str(case)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
@pytest.mark.parametrize("job", QUICK)
def test_a_small_disk(interruptions: Interruptions, job: str) -> None:
    try:
        case = interruptions.fill_disk(job, f"disk-{job}", Random(2))
    except PermissionError:
        pytest.skip("this container may not mount a disk")
    assert case.outcomes[0].code == 1
    assert not case.faults, str(case)


def _obey_permissions() -> None:
    """Give up root's right to read and write every file."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0


def _refused(outcome: Outcome, says: str) -> None:
    errors = [line for line in outcome.said.splitlines() if line.startswith("Error: ")]
    assert outcome.code == 1, outcome.said
    assert len(errors) == 1, outcome.said
    assert "Traceback" not in outcome.said
    assert says in errors[0]


@pytest.mark.parametrize("job", JOBS)
def test_a_place_that_may_not_be_written_to_is_told(interruptions: Interruptions, job: str) -> None:
    place = interruptions.place(job, f"read-only-{job}")
    (place / "files" / "there").mkdir(mode=0o555)
    outcome = finish(started(job, place, _obey_permissions, output="there/"), place)
    _refused(outcome, "there")
    assert not list((place / "files" / "there").iterdir())


@pytest.mark.parametrize("job", JOBS)
def test_a_file_that_may_not_be_read_is_told(interruptions: Interruptions, job: str) -> None:
    place = interruptions.place(job, f"unreadable-{job}")
    inputs = [path for path in (place / "files").rglob("*") if path.is_file()]
    read = [path for path in inputs if path.suffix in (".pt", ".txt", ".tsv", ".bin", ".onnx")]
    for path in read:
        path.chmod(0)
        outcome = finish(started(job, place, _obey_permissions), place)
        path.chmod(0o600)
        if outcome.code:  # else the command does not read this file
            _refused(outcome, path.relative_to(place / "files").parts[0])
            assert not made_of(place / "files")
            return
    raise AssertionError("the command reads none of its files")


@pytest.mark.parametrize("job", ["convert", "prepare", "export"])
def test_times_of_files_change_nothing(interruptions: Interruptions, job: str) -> None:
    place, whole = interruptions.place(job, f"clock-{job}"), interruptions.whole(job)
    for moment in (CENTURY, 0):
        for path in (place / "files").rglob("*"):
            os.utime(path, (moment, moment))
        outcome = finish(started(job, place), place)
        assert outcome.code == 0, outcome.said
        assert digests(place / "files") == whole.files


@pytest.mark.parametrize("job", QUICK)
def test_two_commands_at_once_make_one_output(interruptions: Interruptions, job: str) -> None:
    place, whole = interruptions.place(job, f"twice-{job}"), interruptions.whole(job)
    other = place.with_name(f"{place.name}-other")
    other.mkdir()
    (other / "files").symlink_to(place / "files")
    processes = [started(job, place), started(job, other)]
    outcomes = [finish(process, where) for process, where in zip(processes, (place, other), strict=True)]
    assert 0 in [outcome.code for outcome in outcomes]
    for outcome in outcomes:
        if outcome.code:
            _refused(outcome, "output.jsonl" if job == "predict" else "output: another command has made it")
    assert digests(place / "files") == whole.files
