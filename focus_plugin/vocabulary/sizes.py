"""Trains vocabularies of several sizes on the same text, compares them and recommends one."""

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

RARE = 10  # a token that occurs less often has no auxiliary embedding of its own, as in section 4.1 of the FOCUS paper
WORTHWHILE_SAVING = 0.03  # of the tokens of the text, for a vocabulary twice as large
BASE_WIDTH = 768  # of XLM-R base
_TRAINED_SPECIALS = 3  # <unk> <s> </s>, which are pieces of the SentencePiece model
_OTHER_TOKENS = 2  # <pad> <mask>, which are tokens of the encoder, but not pieces of the SentencePiece model


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The sizes of an encoder that do not depend on its vocabulary.

    width: the width of its embeddings. untied: whether its output embedding is separate from its input embedding.
    other: the number of parameters that are neither token embeddings nor output bias; None if unknown.
    """

    width: int = BASE_WIDTH
    untied: bool = False
    other: int | None = None

    def embedding_mb(self, size: int) -> float:
        """Megabytes (10^6 bytes) of the token embeddings in float32 for a vocabulary of ``size`` pieces."""
        return 4e-6 * (size + _OTHER_TOKENS) * self.width * (2 if self.untied else 1)

    def model_mb(self, size: int) -> float | None:
        """Megabytes (10^6 bytes) of all parameters in float32; None if ``other`` is None."""
        return None if self.other is None else self.embedding_mb(size) + 4e-6 * (self.other + size + _OTHER_TOKENS)


@dataclass(frozen=True, kw_only=True)
class SizeFigures:
    """Figures of a vocabulary of ``size`` pieces.

    tokens, words: their numbers in the text. rare: the number of pieces that occur fewer than RARE times in the text.
    """

    size: int
    tokens: int
    words: int
    rare: int

    @property
    def tokens_per_word(self) -> float:
        """The mean number of tokens per word."""
        return self.tokens / self.words


@dataclass(frozen=True, kw_only=True)
class SizeComparison:
    """A comparison of sizes.

    figures: in ascending order of size. too_large: sizes for which the text has too few different pieces. recommended:
    the recommended size. reason: a sentence that says why.
    """

    figures: tuple[SizeFigures, ...]
    too_large: tuple[int, ...]
    recommended: int
    reason: str


def parse_sizes(sizes: str) -> tuple[int, ...]:
    """The sizes in ``sizes``, which are separated by commas, in ascending order.

    Raises FocusError for anything else, and for fewer than two different sizes.
    """
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
    """Train a unigram model for each of ``sizes`` (in ascending order) on ``text``, and compare the models.

    ``content``: the content of ``text``. Raises FocusError as :func:`train_unigram` does; a size that is too large for
    the text is an error only if all sizes are too large.
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
        rare = int((counts.pieces[_TRAINED_SPECIALS:] < RARE).sum())
        figures.append(SizeFigures(size=size, tokens=int(counts.pieces.sum()), words=counts.words, rare=rare))
    best, reason = recommend(figures)
    return SizeComparison(figures=tuple(figures), too_large=tuple(too_large), recommended=best, reason=reason)


def recommend(figures: Sequence[SizeFigures]) -> tuple[int, str]:
    """The recommended size and a sentence that says why; ``figures`` are in ascending order of size.

    Starting from the smallest size, the next one is better if two conditions hold: it saves at least WORTHWHILE_SAVING
    of the tokens for each doubling of the size, and at least half of the added pieces occur at least RARE times, often
    enough to be learned.
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
                f"{found}, but {larger.rare:,} of its pieces occur fewer than {RARE} times, {rare:,} more than with "
                f"{now.size:,} pieces. Most of the added pieces are too rare to be learned."
            )
    if len(figures) == 1:
        return figures[0].size, "the text is too small for the other sizes."
    return figures[-1].size, (
        f"each larger size saves tokens, and most of the added pieces occur {RARE} times or more. A larger size may "
        "be even better."
    )
