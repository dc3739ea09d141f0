"""The commands in the process of the tests, which starts them faster than a process of their own."""

from click.testing import CliRunner, Result
from focus_cli.main import main


def focus(*words: object) -> str:
    """What a command prints to standard output; its exit code must be 0."""
    done = _invoke(words)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words: object) -> str:
    """The sentence with which a command fails, without "Error: "; its exit code must be 1."""
    done = _invoke(words)
    assert done.exit_code == 1, done.output
    return done.stderr.splitlines()[-1].removeprefix("Error: ")


def _invoke(words: tuple[object, ...]) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
