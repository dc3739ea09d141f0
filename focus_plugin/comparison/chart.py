"""A line chart as SVG, with the classes of the report's style sheet for its text and grid."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]
COLOURS = ("#2f7ec1", "#d9822b", "#2aa17c", "#b4508f", "#8a6fd1", "#c1483f", "#8c8c3a", "#5d7385")  # on white and black
DASHES = ("", "7 4", "2 3", "10 3 2 3")
_WIDTH, _HEIGHT = 900, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 20, 12, 44
_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line, which is drawn over ``single``, the fainter lines that it is the mean of. colour, dash: their indices."""

    name: str
    colour: int
    dash: int
    points: Points
    single: Sequence[Points] = ()

    @property
    def stroke(self) -> str:
        """The attributes of its stroke."""
        dash = DASHES[self.dash % len(DASHES)]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        return f'fill="none" stroke="{COLOURS[self.colour % len(COLOURS)]}"{dashed}'


def line_chart(lines: Sequence[Line], *, x_title: str, y_title: str, title: str) -> str:
    """The chart of at least one line; ``title`` is what a screen reader says of it."""
    points = [point for line in lines for each in (line.points, *line.single) for point in each]
    x, y = (_Axis(low=min(values), high=max(values)) for values in zip(*points, strict=True))
    return "\n".join(
        [
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
            *_grid(x, y),
            f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_title)}</text>',
            f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {_HEIGHT / 2})">'
            f"{escape(y_title)}</text>",
            *(element for line in lines for element in _drawn(line, x, y)),
            "</svg>",
        ]
    )


def legend(lines: Sequence[Line]) -> str:
    """The names of the lines, each with a piece of its line."""
    entries = (
        f'<li><svg class="key" viewBox="0 0 34 10" aria-hidden="true"><path d="M0 5H34" {line.stroke} '
        f'stroke-width="3"/></svg><bdi>{escape(line.name)}</bdi></li>'
        for line in lines
    )
    return f'<ul class="legend">{"".join(entries)}</ul>'


@dataclass(frozen=True, kw_only=True)
class _Axis:
    low: float
    high: float

    @property
    def ticks(self) -> list[float]:
        """Round numbers from ``low`` to ``high``, about _TICKS."""
        rough = (self.high - self.low or abs(self.high) or 1) / _TICKS
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first, last = math.floor(self.low / step), math.ceil(self.high / step)
        return [round(step * i, 10) for i in range(first, max(last, first + 1) + 1)]

    def share(self, value: float) -> float:
        """Where ``value`` is between the first and the last tick, from 0 to 1."""
        first, *_, last = self.ticks
        return (value - first) / (last - first)


def _x(value: float, axis: _Axis) -> str:
    return f"{_LEFT + axis.share(value) * (_WIDTH - _LEFT - _RIGHT):.1f}"


def _y(value: float, axis: _Axis) -> str:
    return f"{_HEIGHT - _BOTTOM - axis.share(value) * (_HEIGHT - _TOP - _BOTTOM):.1f}"


def _grid(x: _Axis, y: _Axis) -> Iterator[str]:
    for value in y.ticks:
        height = _y(value, y)
        yield f'<path class="grid" d="M{_LEFT} {height}H{_WIDTH - _RIGHT}"/>'
        yield f'<text class="tick" x="{_LEFT - 6}" y="{height}" dy="4" text-anchor="end">{value:g}</text>'
    for value in x.ticks:
        yield (
            f'<text class="tick" x="{_x(value, x)}" y="{_HEIGHT - _BOTTOM + 17}" text-anchor="middle">{value:g}</text>'
        )


def _drawn(line: Line, x: _Axis, y: _Axis) -> Iterator[str]:
    single = ((points, 'stroke-opacity="0.3"') for points in line.single)
    for points, look in (*single, (line.points, 'stroke-width="2.5"')):
        path = "L".join(f"{_x(across, x)} {_y(up, y)}" for across, up in points)
        yield f'<path d="M{path}" {line.stroke} {look}><title>{escape(line.name)}</title></path>'
