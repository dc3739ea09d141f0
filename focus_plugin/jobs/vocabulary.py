"""The directory of a target vocabulary: ``dict.txt``, the tokenizer's file and the manifest."""

from pathlib import Path

from focus_plugin.files import existing_file, sha256
from focus_plugin.manifest import Manifest, describe
from focus_plugin.options import settings
from focus_plugin.outputs import make_directory
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import CorpusCounts
from focus_plugin.vocabulary.importing import import_vocabulary
from focus_plugin.vocabulary.options import UnigramTraining
from focus_plugin.vocabulary.training import train_vocabulary

KIND = "vocabulary"


DEFAULT = UnigramTraining()


def make_vocabulary(
    text: Text, size: int, output: Path, options: UnigramTraining = DEFAULT, phase: Phase = no_phase
) -> Manifest:
    """Train a vocabulary of ``size`` pieces into ``output`` unless it is already there; see ``train_vocabulary``."""
    with phase("Reading the text", text.bytes) as progress:
        content = text.content(progress)
    manifest = describe(KIND, {"size": size, **settings(options)}, {"corpus": content.digest}, ("sentencepiece",))

    def build(directory: Path) -> dict[str, object]:
        with phase("Training SentencePiece", 2 * text.bytes) as progress:
            return _found(train_vocabulary(text, content, size, options, directory, progress))

    return make_directory(output, manifest, build)


def take_vocabulary(text: Text, tokenizer: Path, output: Path, phase: Phase = no_phase) -> Manifest:
    """Take a published tokenizer as vocabulary unless ``output`` is already that; see ``import_vocabulary``."""
    inputs = {"tokenizer": sha256(existing_file(tokenizer))}
    with phase("Reading the text", text.bytes) as progress:
        inputs["corpus"] = text.content(progress).digest
    manifest = describe(KIND, {}, inputs, ("sentencepiece", "tokenizers"))

    def build(directory: Path) -> dict[str, object]:
        with phase("Counting tokens", text.bytes) as progress:
            counts, left_out = import_vocabulary(text, tokenizer, directory, progress)
        return {**_found(counts), "left_out": list(left_out)}

    return make_directory(output, manifest, build)


def _found(counts: CorpusCounts) -> dict[str, object]:
    found = {"pieces": len(counts.pieces), "words": counts.words, "lines": counts.lines}
    return {**found, "tokens_per_word": counts.tokens_per_word}
