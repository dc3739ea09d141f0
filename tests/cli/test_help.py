"""What ``--help`` imports, of each subcommand: next to nothing, or it would be slow."""

import click
import pytest
from commands import run_python
from focus_cli.main import COMMANDS, main

HEAVY = {"fairseq", "fasttext", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scipy", "sentencepiece"}
HEAVY |= {"sklearn", "tokenizers", "torch", "transformers"}
SHOW = """
import sys
from focus_cli.main import main
try:
    main({arguments})
finally:
    print(*sorted({heavy} & set(sys.modules)), sep=",")
"""


def _subcommands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [(), *((name,) for name in COMMANDS)]
    for name in COMMANDS:
        context = click.Context(main)
        command = main.get_command(context, name)
        if isinstance(command, click.Group):
            found += [(name, nested) for nested in command.list_commands(context)]
    return found


@pytest.mark.parametrize("command", _subcommands(), ids=" ".join)
def test_help_imports_nothing_heavy(command):
    *told, imported = run_python(SHOW.format(arguments=[*command, "--help"], heavy=HEAVY)).splitlines()
    assert told[0].startswith(" ".join(("Usage: -c", *command)))
    assert imported == ""


def test_every_task_of_finetune_is_among_them():
    assert ("finetune", "classification") in _subcommands()
