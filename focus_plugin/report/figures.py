"""The numbers in the plots and tables of the report, computed from the origins of the target's rows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from focus_plugin.transfer.origins import COPIED, FILLED, KINDS, LEARNED, MIXED, Origins
from focus_plugin.vocabulary.scripts import length, script
from focus_plugin.vocabulary.vocabulary import Vocabulary

_LONGEST = 16  # characters; longer tokens are counted as tokens of this length
SIMILARITY_BINS = 20
TRUSTED = 15  # tokens listed as the most and the least trusted


@dataclass(frozen=True)
class Kinds:
    """How many rows of a group were copied, mixed, filled and learned. For a text, its tokens are counted instead."""

    label: str
    copied: int
    mixed: int
    filled: int
    learned: int

    @property
    def total(self) -> int:
        """All rows (or tokens) of the group."""
        return self.copied + self.mixed + self.filled + self.learned


@dataclass(frozen=True)
class Bin:
    """One column of a histogram."""

    label: str
    tokens: int


@dataclass(frozen=True)
class TokensPerWord:
    """Tokens per word of the corpus: ``before`` with the source's tokenizer, ``after`` with the target's."""

    before: float
    after: float


@dataclass(frozen=True)
class Figures:
    """All numbers of the report.

    vocabulary: all rows. text: all tokens of the text, None if their counts are unknown. scripts, lengths: the rows of
    tokens that are not special, by script (the largest first) and by length in characters. supports, similarities:
    histograms of the mixtures; similarities is empty if the method compares no vectors. mean_support: the mean number
    of anchors in a mixture. anchors: the number of copied tokens that are not special; a mixture consists of these.
    most_trusted, least_trusted: target ids of mixtures, ordered by the weight of their first anchor. tokens_per_word:
    None if the conversion did not measure it.
    """

    vocabulary: Kinds
    text: Kinds | None
    scripts: tuple[Kinds, ...]
    lengths: tuple[Kinds, ...]
    supports: tuple[Bin, ...]
    similarities: tuple[Bin, ...]
    mean_support: float
    anchors: int
    most_trusted: tuple[int, ...]
    least_trusted: tuple[int, ...]
    tokens_per_word: TokensPerWord | None


def figures(
    origins: Origins,
    target: Vocabulary,
    token_counts: np.ndarray | None,
    counts: Mapping[str, float],
    text: str = "the corpus",
) -> Figures:
    """Compute all figures.

    ``token_counts``: shape (target,), int64, how often each token occurs in the text. ``counts``: the counts in the
    manifest. ``text``: the name of the text in sentences.
    """
    plain, number = np.flatnonzero(~target.special), len(KINDS)
    forms, kinds = [target.forms[i] for i in plain], origins.kind[plain].tolist()
    mixed = origins.kind == MIXED
    trusted = _by_trust(origins)
    listed = min(TRUSTED, (len(trusted) + 1) // 2)
    support = origins.support[mixed]
    return Figures(
        vocabulary=_kinds("vocabulary", np.bincount(origins.kind, minlength=number)),
        text=None if token_counts is None else _kinds(text, np.bincount(origins.kind, token_counts, minlength=number)),
        scripts=tuple(sorted(_groups(map(script, forms), kinds), key=lambda group: (-group.total, group.label))),
        lengths=_lengths(forms, kinds),
        supports=_support_bins(support),
        similarities=_similarity_bins(origins.similarity[mixed]),
        mean_support=float(support.mean()) if len(support) else 0.0,
        anchors=kinds.count(COPIED),
        most_trusted=tuple(trusted[:listed].tolist()),
        least_trusted=tuple(trusted[::-1][:listed].tolist()),
        tokens_per_word=_tokens_per_word(counts),
    )


def _kinds(label: str, counted: np.ndarray) -> Kinds:
    return Kinds(label, *(int(counted[kind]) for kind in (COPIED, MIXED, FILLED, LEARNED)))


def _groups(labels: Iterable[str], kinds: list[int]) -> list[Kinds]:
    """The rows of each label, in the order in which the labels first occur."""
    counted = Counter(zip(labels, kinds, strict=True))
    names = dict.fromkeys(label for label, _ in counted)
    return [Kinds(label, *(counted[label, kind] for kind in (COPIED, MIXED, FILLED, LEARNED))) for label in names]


def _lengths(forms: list[str], kinds: list[int]) -> tuple[Kinds, ...]:
    longest = max((min(length(form), _LONGEST) for form in forms), default=0)
    labels = [f"{n}+" if n == _LONGEST else str(n) for n in range(longest + 1)]
    groups = {group.label: group for group in _groups((labels[min(length(form), _LONGEST)] for form in forms), kinds)}
    return tuple(groups.get(label, Kinds(label, 0, 0, 0, 0)) for label in labels)


def _support_bins(support: np.ndarray) -> tuple[Bin, ...]:
    """Bins of doubling width: 1, 2, 3 to 4, 5 to 8 and so on up to the largest support; empty bins are included."""
    doublings = Counter((size - 1).bit_length() for size in support.tolist())
    spans = ((2**n // 2 + 1, 2**n, n) for n in range(max(doublings, default=-1) + 1))
    return tuple(Bin(f"{low}–{high}" if low < high else f"{high}", doublings[n]) for low, high, n in spans)


def _similarity_bins(similarity: np.ndarray) -> tuple[Bin, ...]:
    """Bins of equal width from 0 to 1; values below 0 are counted in the first bin. No bins if there are no values."""
    similarity = similarity[~np.isnan(similarity)]
    if not len(similarity):
        return ()
    places = np.clip(np.floor(similarity * SIMILARITY_BINS), 0, SIMILARITY_BINS - 1).astype(int)
    counted = np.bincount(places, minlength=SIMILARITY_BINS).tolist()
    edges = np.linspace(0, 1, SIMILARITY_BINS + 1)
    return tuple(Bin(f"{edges[i]:.2f}–{edges[i + 1]:.2f}", count) for i, count in enumerate(counted))


def _by_trust(origins: Origins) -> np.ndarray:
    """Target ids of the mixtures, the most trusted first.

    The larger the absolute weight of its first anchor, the more a mixture is trusted, because the method then clearly
    prefers some anchors. If two weights are equal, the mixture with fewer anchors comes first. The similarity is not
    used: it is high for every rare token, because the vectors of rare tokens are almost equal.
    """
    mixed = np.flatnonzero(origins.kind == MIXED)
    return np.asarray(mixed[np.lexsort((mixed, origins.support[mixed], -np.abs(origins.weights[mixed, 0])))])


def _tokens_per_word(counts: Mapping[str, float]) -> TokensPerWord | None:
    before, after = counts.get("source_tokens_per_word"), counts.get("target_tokens_per_word")
    return TokensPerWord(before, after) if before and after else None
