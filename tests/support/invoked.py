"""The commands in the process of the tests, which need not import anything again; ``commands.py`` runs real ones."""

import os
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

import torch
from click.testing import CliRunner
from focus_cli.main import main


def run(*arguments: object, cwd: Path | None = None, check: bool = True) -> "CompletedProcess[str]":
    """Call ``focus`` with the other arguments; fails with its output if ``check`` and its exit code is not 0."""
    name, *words = map(str, arguments)
    assert name == "focus", "which is the only command that is also a function"
    before, precision = Path.cwd(), torch.get_float32_matmul_precision()
    try:
        os.chdir(cwd or before)
        done = CliRunner(env={"NO_COLOR": "1"}).invoke(main, words, catch_exceptions=False)
    finally:
        os.chdir(before)
        torch.set_float32_matmul_precision(precision)  # which a command that builds fairseq's model reduces
    assert not check or done.exit_code == 0, f"{' '.join(words)}\n{done.output}"
    return CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


def focus(*words: object) -> str:
    """What a command prints to standard output; its exit code must be 0."""
    return run("focus", *words).stdout


def refuse(*arguments: object, says: str) -> str:
    """Call a command that must fail: exit code 1 and one sentence that contains ``says``. Returns the sentence."""
    done = run(*arguments, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(errors) == 1, done.stderr
    assert says in errors[0], errors[0]
    return errors[0]


def refuse_all(*cases: tuple[Sequence[object], str]) -> None:
    """:func:`refuse` of each command and what it says."""
    for command, says in cases:
        refuse(*command, says=says)


def refused(*words: object) -> str:
    """The sentence with which a command fails, without "Error: "; its exit code must be 1."""
    return refuse("focus", *words, says="").removeprefix("Error: ")
