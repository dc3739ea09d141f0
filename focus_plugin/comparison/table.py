"""The table of a comparison, as cells, in Markdown, and for a terminal."""

from collections.abc import Iterator, Sequence

from focus_plugin.comparison.results import Result, probability, recommendation

COLUMNS = (
    *("start", "recipe", "seeds", "before", "after 1/3", "after 2/3", "end", "± over seeds", "behind", "95 % interval"),
    *("seconds", "P(best)"),
)
TEXT_COLUMNS = 2  # at the left; all others have numbers
NOTE = (
    "Losses are in nats. Those before the training and at its end are measured as by focus evaluate; those between are "
    "the validation losses of the training, on other predictions."
)


def cells(result: Result) -> tuple[str, ...]:
    """The line of a pair."""
    behind, low, high = result.behind
    recommended = result.worse is None
    return (
        result.start,
        result.recipe,
        str(len(result.rows)),
        f"{result.before:.3f}",
        f"{result.third:.3f}",
        f"{result.two_thirds:.3f}",
        f"{result.loss:.3f}",
        "" if result.deviation is None else f"{result.deviation:.3f}",
        "" if recommended else f"{behind:.3f}",
        "" if recommended else f"{low:.3f} to {high:.3f}",
        "" if result.seconds is None else f"{result.seconds:,.0f}",
        probability(result.best),
    )


def plain(found: Sequence[Result]) -> Iterator[str]:
    """Lines with aligned columns."""
    lines = [COLUMNS, *map(cells, found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        sized = list(zip(line, widths, strict=True))
        words = [cell.ljust(width) for cell, width in sized[:TEXT_COLUMNS]]
        yield "  ".join([*words, *(cell.rjust(width) for cell, width in sized[TEXT_COLUMNS:])]).rstrip()


def markdown(found: Sequence[Result]) -> str:
    """The table, its note and the recommendation."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * TEXT_COLUMNS + "---:|" * (len(COLUMNS) - TEXT_COLUMNS)]
    lines = ["| " + " | ".join(cells(result)) + " |" for result in found]
    return "\n".join([*head, *lines, "", NOTE, "", recommendation(found), ""])
