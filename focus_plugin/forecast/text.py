"""How fast this machine reads text, and how many tokens the text has: measured on the first lines of the user's own."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.forecast.machine import seconds_of
from focus_plugin.text import Text
from focus_plugin.vocabulary.tokenizers import Tokenizer

_LINES, _CHARACTERS = 4000, 1 << 20  # at most, of the first lines
_SHORT, _LONG = 1, 4  # shares of the first lines, to separate what grows with the text from what does not


def first_lines(text: Text) -> list[str]:
    """The first lines of a text; the rest is not read."""
    lines: list[str] = []
    characters = 0
    for line in text.lines():
        lines.append(line)
        characters += len(line)
        if len(lines) == _LINES or characters >= _CHARACTERS:
            break
    return lines


def cutting_seconds(text: Text, tokenizer: Tokenizer, count: float) -> float:
    """Seconds to cut ``count`` bytes of ``text`` into tokens on all cores."""
    lines = first_lines(text)
    return seconds_of(lambda: tokenizer.ids(lines), 0.2) * count / utf8_bytes(lines)


@dataclass(frozen=True)
class Amount:
    """How much text there is, as estimated from its first lines."""

    lines: float
    tokens: float


def amount(text: Text, tokenizer: Tokenizer) -> Amount:
    """How many lines and tokens a text has."""
    first = first_lines(text)
    share = text.content().bytes / utf8_bytes(first)
    return Amount(len(first) * share, tokenizer.count(first) * share)


def extrapolated_seconds(text: Text, count: float, work: Callable[[list[str]], object]) -> float | None:
    """Seconds of ``work`` on ``count`` bytes of ``text``, extrapolated from its first lines and a part of them.

    None if it raises FocusError, because the first lines alone are too little text for it.
    """
    lines = first_lines(text)
    short = lines[: len(lines) * _SHORT // _LONG]
    try:
        few, many = (seconds_of(partial(work, part), 0) for part in (short, lines))
    except FocusError:
        return None
    each = max(0.0, many - few) / max(1, utf8_bytes(lines) - utf8_bytes(short))
    return many + each * max(0.0, count - utf8_bytes(lines))


@contextmanager
def text_of(lines: list[str]) -> Iterator[Text]:
    """A text of these lines, in a temporary file."""
    with tempfile.TemporaryDirectory() as directory:
        (path := Path(directory) / "text").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        yield Text.of(path)


def utf8_bytes(lines: list[str]) -> int:
    """The bytes of lines in a file, line ends included; at least 1."""
    return max(1, sum(len(line.encode()) + 1 for line in lines))
