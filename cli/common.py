"""What several subcommands share: progress bars, --quiet, and printing results."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from focus_plugin.files import Progress, silent
from focus_plugin.forecast.forecast import Launch
from focus_plugin.options import build
from focus_plugin.progress import Phase, no_phase

quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print neither progress nor the result.")


def given_options(context: click.Context) -> set[str]:
    """The names of the options that the user has given."""
    source = context.get_parameter_source
    return {name for name in context.params if source(name) is not ParameterSource.DEFAULT}


def refuse(context: click.Context, options: Iterable[str], why: str) -> None:
    """Raise UsageError for the first of ``options`` that the user has given, because it would have no effect.

    ``why``: the end of the message, which begins with the option's name.
    """
    for option in options:
        if option in given_options(context):
            raise click.UsageError(f"--{option.replace('_', '-')} {why}")


def interactive(quiet: bool) -> bool:
    """Whether progress bars are drawn: on a terminal, unless ``quiet``."""
    return not quiet and sys.stderr.isatty()


def phases(quiet: bool) -> Phase:
    """How progress is shown: on a terminal by bars, elsewhere by one line for each phase; if ``quiet``, not at all."""
    return no_phase if quiet else _bar


@contextmanager
def _bar(label: str, total: int) -> Iterator[Progress]:
    if not sys.stderr.isatty():
        click.echo(f"{label} ...", err=True)
        yield silent
        return
    with click.progressbar(length=max(total, 1), label=f"{label:32}", file=sys.stderr) as bar:
        yield bar.update
        bar.update(max(total, 1) - bar.pos)


def launching(quiet: bool, options: Mapping[str, Any]) -> Launch:
    """How a command starts, from its options."""
    launch: Launch = build(Launch, options)
    return replace(launch, show=lambda line: tell(quiet, line))


def metrics_sentence(metrics: Mapping[str, float], what: str, baseline: float | None = None) -> str:
    """``accuracy 0.912, macro-f1 0.897 on WHAT.``; ``what``: the data that they were measured on.

    ``baseline``: the first metric of always giving the commonest result; it is told unless it is 0.
    """
    found = [f"{name.replace('_', '-')} {value:.3f}" for name, value in metrics.items()]
    always = f" Always giving the commonest result: {found[0].split()[0]} {baseline:.3f}." if baseline else ""
    return f"{', '.join(found)} on {what}.{always}"


def tell(quiet: bool, *lines: str, err: bool = False) -> None:
    """Print ``lines`` to standard output, or to standard error if ``err``; print nothing if ``quiet``."""
    if not quiet:
        for line in lines:
            click.echo(line, err=err)
