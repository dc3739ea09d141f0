"""What the subcommands that train share: options for fairseq-train, and showing the progress of the training."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import click
from focus_cli.common import interactive, phases, tell

from focus_plugin.training.log import TrainingStep
from focus_plugin.training.watcher import Watcher

extra_argument = click.argument("extra", nargs=-1, type=click.UNPROCESSED)


@contextmanager
def watching(quiet: bool) -> Iterator[Watcher]:
    """Show the progress of a training: its command, quoted for a shell, and its steps.

    On a terminal, the steps are a bar with the loss; elsewhere, each validation is a line. Nothing is
    shown if ``quiet``.
    """
    if quiet:
        yield Watcher()
        return
    with _steps() as step:
        yield Watcher(phase=phases(quiet), command=lambda command: tell(quiet, shlex.join(command)), step=step)


@contextmanager
def _steps() -> Iterator[Callable[[TrainingStep], None]]:
    if not interactive(quiet=False):
        yield _line
        return
    with ExitStack() as stack:
        bar: Any = None

        def show(step: TrainingStep) -> None:
            """Draw a step of the training in the bar."""
            nonlocal bar
            if bar is None:  # drawn no earlier, since other bars come before it
                shown = click.progressbar(length=step.updates, label="Training", file=sys.stderr, item_show_func=_loss)
                bar = stack.enter_context(shown)
            bar.update(step.update - bar.pos, step)

        yield show


def _line(step: TrainingStep) -> None:
    if step.valid:
        metric = "" if step.metric is None else f", metric {step.metric:.3f}"
        click.echo(f"update {step.update} of {step.updates}: validation loss {step.loss:.3f}{metric}", err=True)


def _loss(step: Any) -> str | None:
    return step and f"{'validation' if step.valid else 'training'} loss {step.loss:.3f}, {step.rate:,.0f} tokens/s"
