"""Vocabularies of several sizes, trained on the same text and compared, so that one can be chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from focus_plugin.errors import FocusError
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Content, Text
from focus_plugin.vocabulary.encoding import count_pieces
from focus_plugin.vocabulary.options import LARGEST_SIZE, SMALLEST_SIZE, UnigramTraining
from focus_plugin.vocabulary.readers import parse_sentencepiece
from focus_plugin.vocabulary.tokenizers import processor_tokenizer
from focus_plugin.vocabulary.training import SizeError, train_unigram

RARE = 10  # a token that occurs less often has no auxiliary vector of its own, as in section 4.1 of the FOCUS paper
WORTHWHILE_SAVING = 0.03  # of the tokens of the text, for a vocabulary twice as large
BASE_WIDTH = 768  # of XLM-R base
_SPECIALS = 3  # <unk> <s> </s>, which are pieces
_BESIDES = 2  # <pad> <mask>, which are tokens of the model, but no pieces


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """What of an encoder's size does not depend on the vocabulary.

    width: of its embeddings. untied: whether its output embedding is another matrix than that of the input. other: the
    number of its parameters that are neither embeddings of tokens nor the output bias; None if it is not known.
    """

    width: int = BASE_WIDTH
    untied: bool = False
    other: int | None = None

    def embedding_mb(self, size: int) -> float:
        """Megabytes (10^6 bytes) of the token embeddings in float32 for a vocabulary of ``size`` pieces."""
        return 4e-6 * (size + _BESIDES) * self.width * (2 if self.untied else 1)

    def model_mb(self, size: int) -> float | None:
        """Megabytes (10^6 bytes) of all parameters in float32, if they are known."""
        return None if self.other is None else self.embedding_mb(size) + 4e-6 * (self.other + size + _BESIDES)


@dataclass(frozen=True, kw_only=True)
class SizeFigures:
    """A vocabulary of ``size`` pieces. tokens: of the text. words: of the text. rare: pieces that occur less than RARE
    times in it."""

    size: int
    tokens: int
    words: int
    rare: int

    @property
    def tokens_per_word(self) -> float:
        """Tokens of the text by its words."""
        return self.tokens / self.words


@dataclass(frozen=True, kw_only=True)
class SizeComparison:
    """figures: by size, ascending. too_large: sizes that the text cannot fill. recommended: a size. reason: why."""

    figures: tuple[SizeFigures, ...]
    too_large: tuple[int, ...]
    recommended: int
    reason: str


def parse_sizes(sizes: str) -> tuple[int, ...]:
    """Sizes separated by commas, ascending. Raises FocusError for anything else, and for fewer than two."""
    try:
        parsed = tuple(sorted({int(size) for size in sizes.split(",")}))
    except ValueError as error:
        raise FocusError(f"--sizes {sizes}: give numbers separated by commas, such as 8000,16000,32000.") from error
    if len(parsed) < 2 or not SMALLEST_SIZE <= parsed[0] <= parsed[-1] <= LARGEST_SIZE:
        raise FocusError(
            f"--sizes {sizes}: give at least two different sizes from {SMALLEST_SIZE} to {LARGEST_SIZE:,} to compare."
        )
    return parsed


def compare_sizes(
    text: Text, content: Content, sizes: Sequence[int], options: UnigramTraining, phase: Phase = no_phase
) -> SizeComparison:
    """Train a unigram model of each of ``sizes``, ascending, on ``text``, which holds ``content``, and compare them.

    Raises FocusError as :func:`train_unigram` does, but for sizes that are too large only if all of them are.
    """
    figures: list[SizeFigures] = []
    too_large: list[int] = []
    for size in sizes:
        try:
            with phase(f"Training {size:,} pieces", 2 * text.bytes) as progress:
                model = train_unigram(text, content, size, options, progress)
                counts = count_pieces(text, processor_tokenizer(parse_sentencepiece(model, text)), progress)
        except SizeError:
            if size == sizes[-1] and not figures:
                raise
            too_large.append(size)
            continue
        rare = int((counts.pieces[_SPECIALS:] < RARE).sum())
        figures.append(SizeFigures(size=size, tokens=int(counts.pieces.sum()), words=counts.words, rare=rare))
    best, reason = recommend(figures)
    return SizeComparison(figures=tuple(figures), too_large=tuple(too_large), recommended=best, reason=reason)


def recommend(figures: Sequence[SizeFigures]) -> tuple[int, str]:
    """The size to take of ``figures``, ascending, and why.

    From the smallest on, the next size is taken if two things are true of it: it saves WORTHWHILE_SAVING of the tokens
    for each doubling, and at least half of the pieces that it adds occur RARE times, enough to learn.
    """
    for now, larger in pairwise(figures):
        saved = 1 - larger.tokens / now.tokens
        added, rare = larger.size - now.size, larger.rare - now.rare
        enough = saved >= 1 - (1 - WORTHWHILE_SAVING) ** math.log2(larger.size / now.size)
        if not enough or 2 * rare > added:
            found = f"{larger.size:,} would save {100 * saved:.1f} % of the tokens"
            if not enough:
                return now.size, f"{found} only."
            return now.size, (
                f"{found}, but {larger.rare:,} of its pieces occur fewer than {RARE} times, {rare:,} more than of "
                f"{now.size:,}: most of what it adds is too rare to learn."
            )
    if len(figures) == 1:
        return figures[0].size, "no other of these sizes can be filled by this text."
    return figures[-1].size, (
        f"every step up to it saves tokens, and most of the pieces that it adds occur {RARE} times or more; a larger "
        "size may be better still."
    )
