"""The options for training auxiliary embeddings and for reading them from a file."""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.options import declared, option

NEIGHBORS, FASTTEXT = "neighbors", "fasttext"
OF_FASTTEXT = ("epochs", "negatives", "threads")


@dataclass(frozen=True, kw_only=True)
class VectorInput:
    """The input for training auxiliary embeddings."""

    corpus: tuple[Path, ...] = option(
        help="Text of the target language: a file or a pattern; may be given several times."
    )
    vocabulary: Path = option(flag="vocab", help="Directory made by focus vocab.")
    seed: int = option(1, minimum=0, maximum=2**31 - 1, help="Random seed.")


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """How auxiliary embeddings are trained on text.

    The defaults of fastText's options are those of the FOCUS paper (section 4.1 and the authors' code). threads: with
    one thread, the same text always gives the same vectors. With more, fastText is faster, but each run differs.
    """

    trainer: str = option(
        NEIGHBORS,
        choices=(NEIGHBORS, FASTTEXT),
        help="Train auxiliary embeddings from counts of neighbouring tokens, or by fastText as in the paper.",
    )
    sample_mb: int = option(
        256,
        minimum=0,
        help="Megabytes (10^6 bytes) of --corpus to train auxiliary embeddings on, a sample drawn with --seed; 0: all.",
    )
    dimension: int = option(100, flag="dim", minimum=1, maximum=10_000, help="Dimension of the auxiliary embeddings.")
    minimum_count: int = option(
        10, flag="min-count", minimum=1, maximum=10**9, help="Tokens that occur less often get no vector of their own."
    )
    epochs: int = option(3, minimum=1, maximum=1_000_000, help="Passes over the text; only for fastText.")
    negatives: int = 10
    threads: int = option(
        1, minimum=1, maximum=1000, help="Threads of fastText; with more than 1 the vectors differ each time."
    )

    @property
    def sample_bytes(self) -> float:
        """``sample_mb`` in bytes; infinity for the whole text."""
        return self.sample_mb * 1_000_000 or math.inf

    def effective(self) -> dict[str, Any]:
        """The options, by name, that have an effect on the vectors."""
        unused = OF_FASTTEXT if self.trainer == NEIGHBORS else ()
        return {name: value for name, value in asdict(self).items() if name not in unused}


def require_effect(options: VectorOptions, given: Collection[str], prefix: str = "--") -> None:
    """Raise FocusError if an option that the user gave has no effect.

    ``given``: the names of the options that the user gave. ``prefix``: the prefix of options in messages.
    """
    flags = {entry.name: entry.flag for entry in declared(VectorOptions)}
    if unused := [name for name in flags if name in given and name not in options.effective()]:
        raise FocusError(
            f"{prefix}{flags[unused[0]]} is an option of fastText: give {prefix}trainer {FASTTEXT}, or leave it out."
        )


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """The options for reading a file of vectors."""

    skip_tokenizer_check: bool = option(
        False, help="Accept --auxiliary even if it looks as if it was made with another tokenizer."
    )
