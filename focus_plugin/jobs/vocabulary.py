"""The directory of a target vocabulary: ``dict.txt``, the tokenizer's file and the manifest."""

from pathlib import Path

from focus_plugin.files import existing_file, sha256
from focus_plugin.manifest import Manifest, describe
from focus_plugin.outputs import make_directory
from focus_plugin.progress import Phase, no_phase
from focus_plugin.vocabulary.encoding import CorpusCounts
from focus_plugin.vocabulary.importing import import_vocabulary
from focus_plugin.vocabulary.training import train_vocabulary

KIND = "vocabulary"


def make_vocabulary(
    corpus: Path, size: int, output: Path, *, sample_bytes: int, seed: int, phase: Phase = no_phase
) -> Manifest:
    """Train a vocabulary into ``output`` unless it is already there; see ``train_vocabulary``."""
    length = existing_file(corpus).stat().st_size
    with phase("Reading the input", length) as progress:
        inputs = {"corpus": sha256(corpus, progress)}
    options = {"size": size, "sample_bytes": sample_bytes, "seed": seed}
    manifest = describe(KIND, options, inputs, ("sentencepiece",))

    def build(directory: Path) -> dict[str, object]:
        with phase("Training SentencePiece", 2 * length) as progress:
            counts = train_vocabulary(corpus, size, directory, sample_bytes=sample_bytes, seed=seed, progress=progress)
        return _found(counts)

    return make_directory(output, manifest, build)


def take_vocabulary(corpus: Path, tokenizer: Path, output: Path, phase: Phase = no_phase) -> Manifest:
    """Take a published tokenizer as vocabulary unless ``output`` is already that; see ``import_vocabulary``."""
    length = existing_file(corpus).stat().st_size
    with phase("Reading the input", length) as progress:
        inputs = {"corpus": sha256(corpus, progress), "tokenizer": sha256(existing_file(tokenizer))}
    manifest = describe(KIND, {}, inputs, ("sentencepiece", "tokenizers"))

    def build(directory: Path) -> dict[str, object]:
        with phase("Counting tokens", length) as progress:
            return _found(import_vocabulary(corpus, tokenizer, directory, progress))

    return make_directory(output, manifest, build)


def _found(counts: CorpusCounts) -> dict[str, object]:
    found = {"pieces": len(counts.pieces), "words": counts.words, "lines": counts.lines}
    return {**found, "tokens_per_word": counts.tokens_per_word}
