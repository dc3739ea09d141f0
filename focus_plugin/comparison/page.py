"""Writes the result of a comparison as one HTML file that loads no other file: curves, table and options."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from statistics import mean
from string import Template

from focus_plugin.comparison.chart import Line, legend, line_chart
from focus_plugin.comparison.results import Result, recommendation
from focus_plugin.comparison.rows import Row
from focus_plugin.comparison.table import COLUMNS, NOTE, TEXT_COLUMNS, cells
from focus_plugin.files import whole_file
from focus_plugin.report.parts import head, part, table

_ROOM = "focus_plugin.comparison"


def write_page(path: Path, title: str, found: Sequence[Result]) -> None:
    """Write the page of ``results``, which are not empty, to ``path``; the same input gives the same bytes."""
    lines = list(_lines(found))
    page = Template(part("page.html", _ROOM)).substitute(
        head=head(title, part("page.css") + part("page.css", _ROOM)),
        title=escape(title),
        summary=escape(recommendation(found)),
        chart=line_chart(lines, x_title="update", y_title="loss (nats)", title="Loss by update; see the table below"),
        legend=legend(lines),
        table=table(COLUMNS, map(cells, found), range(TEXT_COLUMNS, len(COLUMNS))),
        note=escape(NOTE),
        options=table(("", "name", "options"), _options(found)),
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _lines(found: Sequence[Result]) -> Iterator[Line]:
    """A line for each pair: a colour for each start, dashes for each recipe."""
    starts, recipes = (sorted({getattr(result, part) for result in found}) for part in ("start", "recipe"))
    for result in found:
        curves = [_points(row) for row in result.rows]
        yield Line(
            name=f"{result.start}, {result.recipe}",
            colour=starts.index(result.start),
            dash=recipes.index(result.recipe),
            points=[tuple(map(mean, zip(*points, strict=True))) for points in zip(*curves, strict=False)],
            single=curves if len(curves) > 1 else (),
        )


def _points(row: Row) -> list[tuple[float, float]]:
    return [(0.0, row.before), *((float(update), loss) for update, loss in row.curve.items())]


def _options(found: Sequence[Result]) -> Iterator[tuple[str, str, str]]:
    for kind in ("start", "recipe"):
        words = {getattr(result, kind): result.rows[0].words[kind] for result in found}
        yield from ((f"--{kind}", name, words[name]) for name in sorted(words))
