"""Reads parallel text, in which each line of one language has its translation."""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.text import Text

_LISTED = 5  # numbers of lines in a sentence


@dataclass(frozen=True)
class ParallelText:
    """Parallel text on two sides, as Moses has it, or in two columns.

    texts: the text in the source's language and that in the target language, of which line i translates line i; or one
    text, each line of which has a text in the source's language, a tab, and its translation.
    """

    texts: tuple[Text, ...]

    def __str__(self) -> str:
        return " and ".join(map(str, self.texts))

    def lines(self, progress: Progress = silent) -> Iterator[tuple[str, str]]:
        """Yield each text and its translation, without white space around them; ``progress``: see ``Text.lines``.

        Raises FocusError as ``Text.lines`` does, for a line without exactly two columns, naming it, and for two
        sides that have different numbers of lines.
        """
        return self._columns(progress) if len(self.texts) == 1 else self._two_sides(progress)

    def _columns(self, progress: Progress) -> Iterator[tuple[str, str]]:
        for place, line in self.texts[0].places(progress):
            cells = line.split("\t") if line.strip() else ["", ""]
            if len(cells) != 2:
                raise FocusError(
                    f"{place}: expected a text, a tab and its translation; found {len(cells)} "
                    f"column{'s' if len(cells) > 1 else ''}."
                )
            yield cells[0].strip(), cells[1].strip()

    def _two_sides(self, progress: Progress) -> Iterator[tuple[str, str]]:
        (source, target), counts = self.texts, [0, 0]
        for pair in zip_longest(source.lines(progress), target.lines(progress)):
            for side, line in enumerate(pair):
                counts[side] += line is not None
            if counts[0] == counts[1]:
                yield pair[0].strip(), pair[1].strip()
        if counts[0] != counts[1]:
            raise FocusError(
                f"{source} has {counts[0]:,} lines and {target} has {counts[1]:,}; each line of one must be the "
                "translation of the same line of the other."
            )


@dataclass(frozen=True)
class Pairs:
    """Pairs of a parallel text.

    source, target: texts and their translations, in the order of the file. total: the number of pairs in the file.
    empty: (n,), the numbers of the lines, from 1, with an empty side. repeated: (n,), the numbers of the lines that
    repeat an earlier pair.
    """

    source: list[str]
    target: list[str]
    total: int
    empty: np.ndarray
    repeated: np.ndarray

    def left_out(self, text: ParallelText) -> str | None:
        """A sentence about the lines of ``text`` that are left out; None if there are none."""
        parts = []
        if len(self.empty):
            parts.append(f"{len(self.empty):,} with an empty side ({_lines(self.empty)})")
        if len(self.repeated):
            parts.append(f"{len(self.repeated):,} that repeat an earlier pair ({_lines(self.repeated)})")
        return f"{text}: of {self.total:,} pairs, {' and '.join(parts)} were left out." if parts else None


def read_pairs(text: ParallelText, most: int, seed: int) -> Pairs:
    """The pairs of ``text`` that have two sides and repeat no earlier pair, each once.

    ``most``: if there are more, as many of them, drawn with the random ``seed``; 0: all of them. The text is read
    twice, so that only the pairs that are returned are in memory. Raises FocusError as :meth:`ParallelText.lines` does,
    and if no pair is left.
    """
    digests, empty = array("q"), array("q")
    for number, pair in enumerate(text.lines(), 1):
        digests.append(_digest(pair))
        if not all(pair):
            empty.append(number)
    usable = np.ones(len(digests), dtype=bool)
    usable[np.asarray(empty, dtype=np.int64) - 1] = False
    first = np.zeros(len(digests), dtype=bool)
    first[np.unique(np.asarray(digests, dtype=np.int64), return_index=True)[1]] = True
    kept = np.flatnonzero(usable & first)
    if not len(kept):
        raise FocusError(f"{text}: has no line with a text and its translation.")
    if most and len(kept) > most:
        kept = np.sort(np.random.default_rng(seed).choice(kept, most, replace=False))
    wanted = np.zeros(len(digests), dtype=bool)
    wanted[kept] = True
    chosen = [pair for pair, keep in zip(text.lines(), wanted, strict=True) if keep]
    source, target = ([pair[side] for pair in chosen] for side in (0, 1))
    repeated = np.flatnonzero(usable & ~first) + 1
    return Pairs(source, target, len(digests), np.asarray(empty, dtype=np.int64), repeated)


def _digest(pair: tuple[str, str]) -> int:
    written = "\t".join(pair).encode("utf-8")
    return int.from_bytes(hashlib.blake2b(written, digest_size=8).digest(), "little", signed=True)


def _lines(numbers: np.ndarray) -> str:
    listed = ", ".join(map(str, numbers[:_LISTED]))
    more = f" and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {listed}{more}"
