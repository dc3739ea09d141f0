"""The options of auxiliary vectors: how fastText is trained, and how a file of vectors is read."""

from dataclasses import dataclass

from focus_plugin.options import option


@dataclass(frozen=True, kw_only=True)
class FastTextOptions:
    """The settings of the FOCUS paper (section 4.1 and the authors' code).

    threads: with one, the same text gives the same vectors, since fastText's seed is fixed; more are faster but race.
    """

    dimension: int = option(300, flag="dim", minimum=1, maximum=10_000, help="Dimension of the auxiliary vectors.")
    epochs: int = option(3, minimum=1, maximum=1_000_000, help="fastText's passes over the text.")
    minimum_count: int = option(
        10, flag="min-count", minimum=1, maximum=10**9, help="Rarer tokens get no vector of their own."
    )
    negatives: int = 10
    threads: int = option(
        1, minimum=1, maximum=1000, help="Threads of fastText; with more than 1 the vectors differ each time."
    )


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How a file of vectors is read."""

    skip_tokenizer_check: bool = option(
        False, help="Accept --auxiliary even if it looks as if it was made with another tokenizer."
    )
