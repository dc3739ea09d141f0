"""``focus compare``"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from focus_cli import convert, train
from focus_cli.common import launching, phases, quiet_option, tell
from focus_cli.declared import options_of
from focus_cli.training import watching

from focus_plugin.comparison.options import ComparisonOptions
from focus_plugin.comparison.plan import NamedRecipe, NamedStart, Plan, require_names
from focus_plugin.errors import FocusError
from focus_plugin.forecast.forecast import Launch
from focus_plugin.masked_lm.options import Pretraining
from focus_plugin.options import build

_OF_ALL = ("--output", "--quiet", "-q", "--dry-run", "--skip-resource-check")
_NOT_OF_A_START = ("--source", "--vocab", *_OF_ALL)
_NOT_OF_A_RECIPE = ("--init", "--updates", "--validate-every", "--cpu", "--seed", *_OF_ALL)
_NOT_FOR_FAIRSEQ = ("--max-update", "--max-epoch", "--seed")


class Seeds(click.ParamType):
    """Different integers, separated by commas."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The integers, or an error in click's words."""
        if isinstance(value, tuple):
            return value
        one = click.IntRange(0, 2**31 - 1)
        return tuple(dict.fromkeys(one.convert(part.strip(), param, ctx) for part in value.split(",")))


def _named(flag: str, help: str, default: Sequence[tuple[str, str]] | None = None) -> Any:
    return click.option(
        flag,
        nargs=2,
        multiple=True,
        type=str,
        metavar="NAME OPTIONS",
        required=default is None,
        default=default,
        show_default=False,  # since ``help`` has it
        help=help,
    )


@click.command("compare")
@click.argument("data", type=Path)
@_named("--start", "A start: a name and options of focus convert, in quotes; may be given several times.")
@_named(
    "--recipe",
    'A recipe: a name and options of focus train, in quotes ("" for its defaults); may be given several times. By '
    "default one recipe, adapt, which is the default of focus train.",
    default=[("adapt", "")],
)
@click.option("--seeds", type=Seeds(), default="1,2,3", help="Random seeds, with each of which every pair is trained.")
@options_of(ComparisonOptions)
@click.option(
    "--output", required=True, type=Path, help="Directory of the comparison: a new one, or an earlier one to continue."
)
@options_of(Launch)
@quiet_option
def command(output: Path, quiet: bool, **values: Any) -> None:
    """Compare ways of converting and training an encoder by short trainings.

    DATA: The directory made by focus prepare. Its vocabulary is the target vocabulary.

    Every start is converted once and trained with every recipe and every seed. Each finished training is a line of
    OUTPUT/rows.jsonl and is not repeated: after an interruption the same command continues, and starts, recipes and
    seeds can be added later.
    """
    if (values["updates"] is None) == (values["seconds"] is None):
        raise click.UsageError("Give either --updates or --seconds.")
    plan = _plan(values)
    from focus_plugin.comparison.results import recommendation
    from focus_plugin.comparison.table import NOTE, plain
    from focus_plugin.jobs.compare import PAGE, Display, compare

    display = Display(phase=phases(quiet), watch=partial(watching, quiet), say=partial(tell, quiet, err=True))
    found = compare(plan, output, display, launching(quiet, values))
    tell(quiet, *plain(found), NOTE, recommendation(found), f"The curves are in {output / PAGE}.")


def _plan(values: dict[str, Any]) -> Plan:
    for kind in ("start", "recipe"):
        require_names(f"--{kind}", [name for name, _ in values[kind]])
    data, source = str(values["data"]), str(values["source"])
    return Plan(
        options=build(ComparisonOptions, values),
        starts=tuple(_start(name, words, data, source) for name, words in values["start"]),
        recipes=tuple(_recipe(name, words, data) for name, words in values["recipe"]),
        seeds=values["seeds"],
    )


def _start(name: str, words: str, data: str, source: str) -> NamedStart:
    with _naming(f"--start {name}"):
        chosen = _words(words, _NOT_OF_A_START)
        if "--extend" in chosen:
            raise click.UsageError("--extend makes a vocabulary that is not the one of DATA.")
        fixed = ("--source", source, "--vocab", data, "--output", "set-by-the-comparison")
        context = convert.command.make_context("convert", [*fixed, *chosen])
        return NamedStart(name=name, words=words, how=convert.chosen_initialization(context))


def _recipe(name: str, words: str, data: str) -> NamedRecipe:
    with _naming(f"--recipe {name}"):
        chosen = _words(words, _NOT_OF_A_RECIPE)
        fixed = (data, "--init", "set-by-the-comparison", "--output", "set-by-the-comparison")
        context = train.command.make_context("train", [*fixed, *chosen])
        return NamedRecipe(name=name, words=words, job=build(Pretraining, context.params))


def _words(words: str, refused: Iterable[str]) -> list[str]:
    """The words of an option's value. Raises UsageError if one of them is an option that the comparison sets."""
    try:
        found = shlex.split(words)
    except ValueError as error:
        raise click.UsageError(f"{words!r}: {error}.") from error
    end = found.index("--") if "--" in found else len(found)
    for own, flags in ((found[:end], refused), (found[end:], _NOT_FOR_FAIRSEQ)):
        given = {word.partition("=")[0] for word in own}
        for flag in flags:
            if flag in given:
                raise click.UsageError(f"{flag} is set by the comparison; leave it out.")
    return found


@contextmanager
def _naming(words: str) -> Iterator[None]:
    """Put the option ``words`` before the message of an error in its value."""
    try:
        yield
    except click.UsageError as error:
        raise click.UsageError(f"{words}: {error.format_message()}") from error
    except FocusError as error:
        raise FocusError(f"{words}: {error}") from error
