"""The options of auxiliary vectors: how they are trained, and how a file of them is read."""

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
    """What auxiliary vectors are made from."""

    corpus: tuple[Path, ...] = option(
        help="Text of the target language: a file or a pattern; may be given several times."
    )
    vocabulary: Path = option(flag="vocab", help="Directory made by focus vocab.")
    seed: int = option(1, minimum=0, maximum=2**31 - 1, help="Random seed.")


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """How auxiliary vectors are trained on text.

    Those of fastText are by default as in the FOCUS paper (section 4.1 and the authors' code). threads: with one, the
    same text gives the same vectors, since fastText's seed is fixed; more are faster but race.
    """

    trainer: str = option(
        NEIGHBORS,
        choices=(NEIGHBORS, FASTTEXT),
        help="How auxiliary vectors are trained: from counts of neighbouring tokens, or by fastText as in the paper.",
    )
    sample_mb: int = option(
        256, minimum=0, help="Megabytes of --corpus to train auxiliary vectors on, drawn by --seed; 0: all of it."
    )
    dimension: int = option(100, flag="dim", minimum=1, maximum=10_000, help="Dimension of the auxiliary vectors.")
    minimum_count: int = option(
        10, flag="min-count", minimum=1, maximum=10**9, help="Rarer tokens get no vector of their own."
    )
    epochs: int = option(3, minimum=1, maximum=1_000_000, help="Passes over the text, of fastText alone.")
    negatives: int = 10
    threads: int = option(
        1, minimum=1, maximum=1000, help="Threads of fastText; with more than 1 the vectors differ each time."
    )

    def effective(self) -> dict[str, Any]:
        """The values, by name, that have an effect on the vectors."""
        unused = OF_FASTTEXT if self.trainer == NEIGHBORS else ()
        return {name: value for name, value in asdict(self).items() if name not in unused}


def require_effect(options: VectorOptions, given: Collection[str], prefix: str = "--") -> None:
    """Raise FocusError for an option among ``given``, names of those that the user gave, that has no effect.

    ``prefix``: that of options where the user gave them.
    """
    flags = {entry.name: entry.flag for entry in declared(VectorOptions)}
    if unused := [name for name in flags if name in given and name not in options.effective()]:
        raise FocusError(
            f"{prefix}{flags[unused[0]]} is an option of fastText: give {prefix}trainer {FASTTEXT}, or leave it out."
        )


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How a file of vectors is read."""

    skip_tokenizer_check: bool = option(
        False, help="Accept --auxiliary even if it looks as if it was made with another tokenizer."
    )
