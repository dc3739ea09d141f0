"""Converts a released encoder to a target vocabulary and writes the result."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.hub import locate
from focus_plugin.checkpoint.read import checkpoint_files, model_files, read_checkpoint
from focus_plugin.checkpoint.release import RELEASE_MODEL, write_release
from focus_plugin.files import existing_file, sha256
from focus_plugin.finetuning.head_file import head_for_encoders
from focus_plugin.forecast.conversion import conversion_forecast, conversion_work
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Launch
from focus_plugin.manifest import Manifest, describe, read_manifest
from focus_plugin.mixing.matrix import MixingMatrix, load_matrix, save_matrix
from focus_plugin.model_card.card import model_card
from focus_plugin.model_card.use import release_use
from focus_plugin.options import settings
from focus_plugin.outputs import make_directory
from focus_plugin.progress import Phase, no_phase
from focus_plugin.report.page import Report, write_report
from focus_plugin.text import Text
from focus_plugin.transfer.apply import Transfer
from focus_plugin.transfer.initialize import Target, check_finite, initialize, require_device
from focus_plugin.transfer.options import ConversionOptions, Initialization, trains_vectors
from focus_plugin.transfer.origins import COPIED, LEARNED, Origins, counts
from focus_plugin.vocabulary.counts import read_counts
from focus_plugin.vocabulary.encoding import count_pieces, encoded_length
from focus_plugin.vocabulary.extension import extend_vocabulary
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import Vocabulary

_KIND = "converted encoder"
MATRIX = "mixing.safetensors"
REPORT = "report.html"
FILLS = {
    "normal": "the normal distribution of the source's rows",
    "numpy": "the normal distribution of the source's rows, by NumPy",
    "mean": "the mean of the source's rows",
}
LINES_FOR_LENGTH = 100_000  # more would hardly change the mean number of tokens per word


def convert(
    what: ConversionOptions,
    how: Initialization,
    output: Path,
    phase: Phase = no_phase,
    verbose: bool = False,
    launch: Launch = AT_ONCE,
) -> Manifest:
    """Write the converted checkpoint, a fairseq release directory, unless ``output`` already holds it.

    Returns its manifest. Raises FocusError for errors in the input; ``output`` then does not exist.
    """
    vocabulary_files(what.vocabulary)  # raises if something is missing
    located = locate(what.source, phase, verbose)
    what = replace(what, source=located.directory)
    require_device(how.options.device)
    if how.options.matrix:
        load_matrix(how.options.matrix)  # raises if it is damaged, before the source is read
    manifest = _describe(what, how, phase)

    @cache
    def source_checkpoint() -> Checkpoint:
        with phase("Reading the source checkpoint", 1):
            return read_checkpoint(what.source)

    def forecast() -> Forecast:
        work = conversion_work(what, how, source_checkpoint(), manifest.inputs.get("corpus"))
        return conversion_forecast(work, output, how.options.device)

    def build(directory: Path) -> Mapping[str, object]:
        """Convert the source and write the release; the counts of the manifest."""
        source = source_checkpoint()
        check_finite(what.source, source)
        with _target_files(what, source.vocabulary, directory) as (dictionary, tokenizer_file):
            vocabulary, tokenizer = read_dictionary(dictionary), load_tokenizer(tokenizer_file)
            target = Target(
                vocabulary=vocabulary,
                tokenizer=tokenizer,
                language=what.vocabulary,
                extends=what.extend,
            )
            done = initialize(source, target, how, phase, verbose)
            write_release(directory, source.config.of(done.tensors), done.tensors, dictionary, tokenizer_file)
            if done.weights is not None:
                save_matrix(directory / MATRIX, _matrix(source.vocabulary, vocabulary, done))
            found = {
                **_counts(what, source.vocabulary, vocabulary, done),
                "target_bytes": (directory / RELEASE_MODEL).stat().st_size,
                **({"source_revision": located.revision} if located.revision else {}),
                **_lengths(_corpus(how.options.corpus), source.tokenizer, tokenizer, phase),
            }
            report = Report(
                title=output.name,
                origins=done.origins,
                source=source.vocabulary,
                target=vocabulary,
                uses=_uses(what, _corpus(how.options.corpus), manifest, dictionary, target, phase),
                manifest=replace(manifest, counts=found),
                fill=FILLS[how.options.fill],
                convex=done.convex,
            )
            write_report(directory / REPORT, report)
            return found

    card = partial(model_card, use=release_use(head_for_encoders(), has_head=False))
    return make_directory(output, manifest, build, forecast, launch, card)


@contextmanager
def _target_files(what: ConversionOptions, source: Vocabulary, beside: Path) -> Iterator[tuple[Path, Path]]:
    """``dict.txt`` and the tokenizer's file of the target vocabulary; temporary ones in ``beside`` if it extends."""
    if not what.extend:
        yield vocabulary_files(what.vocabulary)
        return
    with tempfile.TemporaryDirectory(dir=beside) as directory:
        yield extend_vocabulary(what.source, source, what.vocabulary, Path(directory))


def _describe(what: ConversionOptions, how: Initialization, phase: Phase) -> Manifest:
    """The manifest of the output. An option that has no effect with the others is not in it."""
    files, method, given = _input_files(what, how), how.method, how.options
    options = {"extend": what.extend, **settings(given), "calibrate": given.calibrate if given.corpus else 0}
    del options["device"]
    if not given.matrix:
        options |= {"method": method.name, "of_method": settings(how.of_method)}
    if trains_vectors(how):
        options["vectors"] = how.vectors.effective()
    texts = _input_texts(how)
    size = sum(path.stat().st_size for path in files.values()) + sum(text.bytes for text in texts.values())
    with phase("Reading the input", size) as progress:
        inputs = {name: sha256(path, progress) for name, path in files.items()}
        inputs |= {name: text.content(progress).digest for name, text in texts.items()}
    packages = ["torch", "numpy", "scipy", "fasttext", tokenizer_package(vocabulary_files(what.vocabulary)[1])]
    if not given.matrix:
        packages += filter(find_spec, method.packages(how.of_method))  # the method tells which one is missing
        packages += [how.found.package] if how.found.package else []
    made_of = {"source": what.source, "vocabulary": what.vocabulary}
    return describe(_KIND, options, inputs, tuple(packages), made_of)


def _input_files(what: ConversionOptions, how: Initialization) -> dict[str, Path]:
    """The files that determine the output, except text, by their names in the manifest."""
    parts = {"source": (what.source, checkpoint_files(what.source))}
    if not parts["source"][1]:
        read_checkpoint(what.source)  # raises if something is missing
    parts["vocabulary"] = (what.vocabulary, [*vocabulary_files(what.vocabulary)])
    for name in ("auxiliary", "word_vectors", "matrix"):
        if path := getattr(how.options, name):
            parts[name] = (path, checkpoint_files(path) if path.is_dir() else [existing_file(path)])
    if not how.options.matrix:
        if how.found.file:
            parts["method"] = (how.found.file, [existing_file(how.found.file)])
        for file in how.method.files:
            if isinstance(path := how.files.get(file.name), Path):
                parts[f"method/{file.name}"] = (path, file.parts(path))
    return {
        f"{name}/{file.name}" if given.is_dir() else name: file
        for name, (given, files) in parts.items()
        for file in files
    }


def _input_texts(how: Initialization) -> dict[str, Text]:
    """The text that determines the output, by its name in the manifest."""
    texts = {"corpus": Text.of(*how.options.corpus)} if how.options.corpus else {}
    if not how.options.matrix:
        texts |= {f"method/{name}": text for name, text in how.files.items() if isinstance(text, Text)}
    return texts


def _corpus(files: tuple[Path, ...]) -> Text | None:
    return Text.of(*files) if files else None


def _counts(what: ConversionOptions, source: Vocabulary, target: Vocabulary, done: Transfer) -> dict[str, object]:
    """Where the rows came from, the sizes of both vocabularies and of the source, and the method's notes."""
    extension = _extension_counts(source, target, done.origins) if what.extend else {}
    return {
        **counts(done.origins),
        **extension,
        "source_tokens": len(source),
        "target_tokens": len(target),
        "source_bytes": sum(path.stat().st_size for path in model_files(what.source)),
        **({"notes": list(done.notes)} if done.notes else {}),
    }


def _extension_counts(source: Vocabulary, target: Vocabulary, origins: Origins) -> dict[str, int]:
    copied = int((origins.kind == COPIED).sum())
    return {"kept": len(source), "appended": len(target) - len(source), "appended_copied": copied - len(source)}


def _uses(
    what: ConversionOptions, corpus: Text | None, manifest: Manifest, dictionary: Path, target: Target, phase: Phase
) -> np.ndarray | None:
    """How often each token occurs in the corpus, or without one in the text that the vocabulary was made from.

    The counts of an extended dictionary are those of different texts.
    """
    made_from = read_manifest(what.vocabulary)
    counted_already = made_from is not None and made_from.inputs.get("corpus") == manifest.inputs.get("corpus")
    if not what.extend and (counted_already or not corpus):
        return read_counts(dictionary, target.vocabulary)
    if not corpus:
        return None
    assert target.tokenizer is not None
    with phase("Counting tokens", corpus.bytes) as progress:
        counted = count_pieces(corpus, target.tokenizer, progress).pieces
    ids, size = piece_ids(target.tokenizer, target.vocabulary), len(target.vocabulary)
    return np.bincount(ids, counted, size).astype(np.int64)


def _matrix(source: Vocabulary, target: Vocabulary, done: Transfer) -> MixingMatrix:
    assert done.weights is not None
    kind = done.origins.kind
    copied = np.where(kind == COPIED, done.origins.anchors[:, 0], -1)
    learned = kind == LEARNED
    return MixingMatrix(
        source.tokens, target.tokens, copied, done.weights, done.origins.similarity, learned, done.convex
    )


def _lengths(corpus: Text | None, old: Tokenizer | None, new: Tokenizer, phase: Phase) -> dict[str, float]:
    if not corpus:
        return {}
    tokenizers = {"source": old, "target": new}
    lines = [*islice(corpus.lines(), LINES_FOR_LENGTH)]
    found: dict[str, float] = {}
    with phase("Counting tokens per word", len(tokenizers)) as progress:
        for name, tokenizer in tokenizers.items():
            if tokenizer:
                length = encoded_length(lines, tokenizer)
                found |= {f"{name}_tokens_per_word": length.tokens_per_word, f"{name}_unknown": length.unknown}
            progress(1)
    return found
