"""The options of ``focus vocab``."""

import math
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.options import option

LARGEST_SIZE = 10_000_000
SMALLEST_SIZE = 4


@dataclass(frozen=True, kw_only=True)
class VocabularyOptions:
    """The options of ``focus vocab``. Exactly one of ``size``, ``tokenizer`` and ``sizes`` must be given."""

    text: tuple[Path, ...] = option(
        flag="input",
        help="Text of the target language in UTF-8, possibly compressed as .gz, .xz, .zst or .bz2: a file or a quoted "
        "pattern; may be given several times.",
    )
    size: int | None = option(
        None, help="Number of pieces to train, <unk> <s> </s> included.", minimum=SMALLEST_SIZE, maximum=LARGEST_SIZE
    )
    tokenizer: Path | None = option(None, help="Take this SentencePiece model or tokenizer.json instead of training.")
    sizes: str | None = option(None, help="Compare these sizes, such as 8000,16000,32000, and recommend one.")
    source: Path | None = option(
        None,
        help="For --sizes: the encoder to be converted, a directory or NAME[@REVISION] on the Hugging Face Hub. The "
        "comparison then has the size of the model; otherwise embeddings of width 768 are assumed.",
    )
    json: bool = option(False, help="For --sizes: print the comparison as JSON.")
    output: Path | None = option(
        None, help="Directory to make. With --sizes it is optional; the recommended vocabulary is written there."
    )


@dataclass(frozen=True, kw_only=True)
class UnigramTraining:
    """The options for training a SentencePiece unigram model of a given size."""

    sample_mb: float = option(
        256, help="Megabytes (10^6 bytes) of the text to train on, a sample drawn with --seed; 0: all.", minimum=0
    )
    seed: int = option(1, help="Random seed of the sample.", minimum=0, maximum=2**31 - 1)

    @property
    def sample_bytes(self) -> float:
        """``sample_mb`` in bytes; infinity for the whole text."""
        return self.sample_mb * 1_000_000 or math.inf
