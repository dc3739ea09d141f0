"""A sentence of a table of tagged words."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from pathlib import Path

from focus_plugin.errors import FocusError


@dataclass(frozen=True, kw_only=True)
class TaggedSentence:
    """Words and their tags.

    lines: the line of each word in the table. gaps: what is between two words in the raw text, one string less than
    words; None if the table does not have it. repaired: how many faults of the table were repaired in it. any_tags:
    whether tags that a model does not have are accepted.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    lines: tuple[int, ...]
    gaps: tuple[str, ...] | None = None
    repaired: int = 0
    any_tags: bool = False

    def with_gaps(self, gaps: tuple[str, ...]) -> "TaggedSentence":
        """The same words with ``gaps``."""
        return replace(self, gaps=gaps)

    @property
    def text(self) -> str:
        """The raw text. The gaps must be known."""
        return "".join(chain.from_iterable(zip(self.words, self._gaps, strict=True)))

    @property
    def spans(self) -> Iterator[tuple[int, int]]:
        """Start and end of each word in the raw text, in characters. The gaps must be known."""
        ends = accumulate(len(part) for pair in zip(self.words, self._gaps, strict=True) for part in pair)
        start = 0
        for end, next_start in zip(ends, ends, strict=True):
            yield start, end
            start = next_start

    @property
    def _gaps(self) -> tuple[str, ...]:
        assert self.gaps is not None
        return (*self.gaps, "")


@dataclass
class SentenceRows:
    """The words of a sentence, collected from ``path``. repair: whether to leave out lines without a word."""

    path: Path
    repair: bool
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    repaired: int = 0

    def add(self, line: int, word: str, tag: str, gap: str | None = None) -> None:
        """Add a word; ``gap``: what is after it in the raw text. Raises FocusError for an empty word or tag."""
        if not tag:
            raise FocusError(f"{self.path}, line {line}: the tag is empty.")
        if not word and not self.repair:
            raise FocusError(
                f"{self.path}, line {line}: the word is empty; correct the line, or give --repair to leave it out."
            )
        if not word:
            self.repaired += 1
            return
        self.words.append(word)
        self.tags.append(tag)
        self.lines.append(line)
        self.gaps += [] if gap is None else [gap]

    def sentence(self) -> Iterator[TaggedSentence]:
        """The sentence, if it has words."""
        if self.words:
            yield TaggedSentence(
                words=tuple(self.words),
                tags=tuple(self.tags),
                lines=tuple(self.lines),
                gaps=tuple(self.gaps[:-1]) if self.gaps else None,
                repaired=self.repaired,
            )
