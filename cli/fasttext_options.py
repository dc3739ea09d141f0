"""The options of fastText, shared by the subcommands that train it."""

from collections.abc import Callable
from typing import Any

import click

NAMES = ("dim", "epochs", "min_count", "threads")
OPTIONS = (
    click.option("--dim", default=300, type=click.IntRange(1, 10_000), help="Dimension of the auxiliary vectors."),
    click.option("--epochs", default=3, type=click.IntRange(1, 1_000_000), help="fastText's passes over the text."),
    click.option("--min-count", default=10, type=click.IntRange(1, 10**9), help="Rarer tokens get no vector."),
    click.option(
        "--threads",
        default=1,
        type=click.IntRange(1, 1000),
        help="fastText's; more than 1 gives other vectors each time.",
    ),
)


def fasttext_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add them to a command."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function
