"""The options of ``focus vocab``."""

from dataclasses import dataclass
from pathlib import Path

from focus_plugin.options import option

LARGEST_SIZE = 10_000_000
SMALLEST_SIZE = 4


@dataclass(frozen=True, kw_only=True)
class VocabularyOptions:
    """What a vocabulary is made of. Exactly one of ``size``, ``tokenizer`` and ``sizes`` is given."""

    text: tuple[Path, ...] = option(
        flag="input",
        help="Text of the target language, UTF-8, also .gz, .xz, .zst or .bz2; a quoted pattern or several --input "
        "stand for several files.",
    )
    size: int | None = option(
        None, help="Pieces to train, <unk> <s> </s> included.", minimum=SMALLEST_SIZE, maximum=LARGEST_SIZE
    )
    tokenizer: Path | None = option(None, help="Take this SentencePiece model or tokenizer.json instead of training.")
    sizes: str | None = option(None, help="Compare these sizes, such as 8000,16000,32000, and recommend one.")
    source: Path | None = option(
        None,
        help="For --sizes: the encoder to be converted, a directory or NAME[@REVISION] on the Hugging Face Hub, whose "
        "size is then told; without it, embeddings are taken to be 768 wide.",
    )
    json: bool = option(False, help="For --sizes: print the comparison as JSON.")
    output: Path | None = option(
        None, help="Directory to make; with --sizes it is optional, and gets the recommended vocabulary."
    )


@dataclass(frozen=True, kw_only=True)
class UnigramTraining:
    """How a SentencePiece unigram model of a given size is trained."""

    sample_mb: float = option(256.0, help="Train on at most this much of the text.", minimum=0.001)
    seed: int = option(1, help="Random seed of the sample.", minimum=0, maximum=2**31 - 1)

    @property
    def sample_bytes(self) -> float:
        """How much of the text to train on."""
        return self.sample_mb * (1 << 20)
