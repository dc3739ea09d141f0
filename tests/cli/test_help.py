"""What ``--help`` imports, of each subcommand: next to nothing, or it would be slow."""

import click
import pytest
from commands import run_python
from focus_cli.main import COMMANDS, main

HEAVY = {"fairseq", "fasttext", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scipy", "sentencepiece"}
HEAVY |= {"sklearn", "tokenizers", "torch", "transformers"}
SHOW = """
import importlib.metadata, sys
searches, search = [], importlib.metadata.distributions
importlib.metadata.distributions = lambda **how: searches.append(how) or search(**how)
from focus_cli.main import main
try:
    main({arguments})
finally:
    print(*sorted({heavy} & set(sys.modules)), sep=",")
    print(len(searches))
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
def test_help_imports_nothing_heavy_and_seldom_looks_for_installed_packages(command):
    *told, imported, searches = run_python(SHOW.format(arguments=[*command, "--help"], heavy=HEAVY)).splitlines()
    assert told[0].startswith(" ".join(("Usage: -c", *command)))
    assert imported == ""
    assert int(searches) <= 2  # of tasks, and of their heads


def test_every_task_of_finetune_is_among_them():
    assert ("finetune", "classification") in _subcommands()
