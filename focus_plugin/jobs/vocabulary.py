"""Makes the directory of a target vocabulary, with ``dict.txt`` and the tokenizer's file, and compares sizes."""

from collections.abc import Sequence
from pathlib import Path

from focus_plugin.files import existing_file, require_place, sha256
from focus_plugin.forecast.forecast import AT_ONCE, Launch, begin
from focus_plugin.forecast.vocabulary import taking_forecast, training_forecast
from focus_plugin.manifest import Manifest, describe
from focus_plugin.options import settings
from focus_plugin.outputs import make_directory
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import CorpusCounts
from focus_plugin.vocabulary.importing import import_vocabulary, read_published
from focus_plugin.vocabulary.options import UnigramTraining
from focus_plugin.vocabulary.sizes import ModelShape, SizeComparison, compare_sizes
from focus_plugin.vocabulary.training import train_vocabulary

_KIND = "vocabulary"
DEFAULT = UnigramTraining()


def make_vocabulary(
    text: Text,
    size: int,
    output: Path,
    options: UnigramTraining = DEFAULT,
    phase: Phase = no_phase,
    launch: Launch = AT_ONCE,
) -> Manifest:
    """Train a vocabulary of ``size`` pieces into ``output`` unless it is already there; see ``train_vocabulary``."""
    with phase("Reading the text", text.bytes) as progress:
        content = text.content(progress)
    manifest = describe(_KIND, {"size": size, **settings(options)}, {"corpus": content.digest}, ("sentencepiece",))

    def build(directory: Path) -> dict[str, object]:
        with phase("Training SentencePiece", 2 * text.bytes) as progress:
            return _found(train_vocabulary(text, content, size, options, directory, progress))

    return make_directory(output, manifest, build, lambda: training_forecast(text, (size,), options, output), launch)


def take_vocabulary(
    text: Text, tokenizer: Path, output: Path, phase: Phase = no_phase, launch: Launch = AT_ONCE
) -> Manifest:
    """Make a vocabulary of a published tokenizer unless ``output`` already is that; see ``import_vocabulary``."""
    inputs = {"tokenizer": sha256(existing_file(tokenizer))}
    with phase("Reading the text", text.bytes) as progress:
        inputs["corpus"] = text.content(progress).digest
    manifest = describe(_KIND, {}, inputs, ("sentencepiece", "tokenizers"))

    def build(directory: Path) -> dict[str, object]:
        with phase("Counting tokens", text.bytes) as progress:
            counts, left_out = import_vocabulary(text, tokenizer, directory, progress)
        return {**_found(counts), "left_out": list(left_out)}

    return make_directory(
        output, manifest, build, lambda: taking_forecast(text, read_published(tokenizer), output), launch
    )


def compare_vocabularies(
    text: Text,
    sizes: Sequence[int],
    options: UnigramTraining = DEFAULT,
    phase: Phase = no_phase,
    launch: Launch = AT_ONCE,
    output: Path | None = None,
) -> SizeComparison:
    """Train vocabularies of ``sizes`` on ``text`` and compare them; see ``compare_sizes``. Writes nothing.

    ``output``: where the recommended vocabulary will be made afterwards, for the forecast.
    """
    with phase("Reading the text", text.bytes) as progress:
        content = text.content(progress)
    if output:
        require_place(output)
    trainings = (*sizes, sizes[-1]) if output else sizes
    begin(training_forecast(text, trainings, options, output), launch)
    return compare_sizes(text, content, sizes, options, phase)


def shape_of(source: Path, phase: Phase = no_phase) -> ModelShape:
    """The sizes of the encoder ``source``, given as for ``focus convert``, that do not depend on its vocabulary."""
    from focus_plugin.checkpoint.hub import locate
    from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
    from focus_plugin.checkpoint.read import read_checkpoint

    checkpoint = read_checkpoint(locate(source, phase).directory)
    rows = (EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS)
    other = sum(tensor.numel() for name, tensor in checkpoint.tensors.items() if name not in rows)
    return ModelShape(width=checkpoint.config.row_length, untied=checkpoint.config.untied, other=other)


def _found(counts: CorpusCounts) -> dict[str, object]:
    found = {"pieces": len(counts.pieces), "words": counts.words, "lines": counts.lines}
    return {**found, "tokens_per_word": counts.tokens_per_word, "unknown": counts.unknown / int(counts.pieces.sum())}
