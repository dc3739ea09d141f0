"""A part of the campaign of ``scripts/fuzz``: damaged files are refused with one sentence, or give a whole result."""

from pathlib import Path

from campaign import run_cases
from readers import READERS

INPUTS = len(READERS)  # each command once


def test_damaged_files_do_no_harm(intact: Path, tmp_path: Path) -> None:
    cases = list(run_cases(intact, tmp_path, seed=1, numbers=range(INPUTS)))
    assert not [str(case) for case in cases if case.faults]
    refused = sum(case.outcome.code == 1 for case in cases)
    assert refused > INPUTS / 2, "most of the damage is serious enough to be noticed"
