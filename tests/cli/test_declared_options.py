"""Options declared by dataclasses, and what click makes of them."""

from dataclasses import dataclass, make_dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from commands import run_python
from focus_cli.declared import click_option, options_of

from focus_plugin.options import build, declared, option, settings


@dataclass(frozen=True, kw_only=True)
class Example:
    text: tuple[Path, ...] = option(help="Files to read.")
    size: int = option(8, help="How many.", minimum=1, maximum=10)
    rate: float | None = option(None, help="How fast.", minimum=0)
    kind: str = option("a", help="Which.", choices=("a", "b"))
    loud: bool = option(False, help="Say more.")
    vocabulary: Path | None = option(None, help="A directory.", flag="vocab")
    derived: int = 3


def _parse(*arguments: str) -> Example:
    found = []

    @click.command()
    @options_of(Example)
    def command(**values: object) -> None:
        found.append(build(Example, values))

    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    if done.exit_code:
        raise ValueError(done.output)
    return found[0]


def test_the_command_line_gives_an_instance():
    given = ("--text", "x", "--text", "y", "--size", "3", "--rate", "0.5", "--kind", "b", "--loud", "--vocab", "v")
    assert _parse(*given) == Example(
        text=(Path("x"), Path("y")), size=3, rate=0.5, kind="b", loud=True, vocabulary=Path("v")
    )
    assert _parse("--text", "x") == Example(text=(Path("x"),))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), "Missing option '--text'"),
        (("--text", "x", "--size", "11"), "1<=x<=10"),
        (("--text", "x", "--rate", "-1"), "x>=0"),
        (("--text", "x", "--rate", "nan"), "not a finite number"),
        (("--text", "x", "--rate", "inf"), "not a finite number"),
        (("--text", "x", "--kind", "c"), "is not one of"),
    ],
)
def test_what_the_declaration_rules_out_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        _parse(*given)


@pytest.mark.parametrize(("kind", "value"), [(Path, "x"), (str, "x"), (int, "3"), (float, "0.5")])
def test_an_option_without_a_default_has_to_be_given(kind, value):
    declaration = make_dataclass("Needed", [("needed", kind, option(help="A value."))], frozen=True, kw_only=True)
    command = click.Command("command", params=[click_option(entry) for entry in declared(declaration)])
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 2
    assert "Missing option '--needed'" in done.output
    assert CliRunner().invoke(command, ["--needed", value]).exit_code == 0


def test_settings_leave_out_files_and_fields_that_are_no_options():
    assert settings(Example(text=(Path("x"),))) == {"size": 8, "rate": None, "kind": "a", "loud": False}
    assert [entry.name for entry in declared(Example) if entry.required] == ["text"]


def test_declaring_and_reading_options_imports_nothing_heavy():
    loaded = run_python(
        "import sys, focus_cli.declared, focus_plugin.options\n"
        "print(*sorted({'torch', 'fairseq', 'numpy'} & set(sys.modules)))"
    )
    assert loaded.strip() == ""
