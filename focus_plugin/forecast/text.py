"""How fast this machine reads text: measured on the first lines of the user's own."""

from collections.abc import Callable
from functools import partial
from itertools import islice

from focus_plugin.forecast.machine import seconds_of
from focus_plugin.text import Text
from focus_plugin.vocabulary.tokenizers import Tokenizer

_LINES = 2000
_SHORT, _LONG = 1, 4  # parts of the first lines, to tell what grows with the text from what does not


def first_lines(text: Text) -> list[str]:
    """The first lines of a text, and none of what follows is read."""
    return [*islice(text.lines(), _LINES)]


def cutting_seconds(text: Text, tokenizer: Tokenizer, count: float) -> float:
    """Seconds to cut ``count`` bytes of ``text`` into tokens on all cores."""
    lines = first_lines(text)
    return seconds_of(lambda: tokenizer.ids(lines), 0.2) * count / _bytes(lines)


def extrapolated_seconds(text: Text, count: float, work: Callable[[list[str]], object]) -> float:
    """Seconds of ``work`` on ``count`` bytes of ``text``, from its times on fewer and on more of the first lines."""
    lines = first_lines(text)
    short = lines[: len(lines) * _SHORT // _LONG]
    few, many = (seconds_of(partial(work, part), 0) for part in (short, lines))
    each = max(0.0, many - few) / max(1, _bytes(lines) - _bytes(short))
    return many + each * max(0.0, count - _bytes(lines))


def _bytes(lines: list[str]) -> int:
    return max(1, sum(len(line.encode()) + 1 for line in lines))
