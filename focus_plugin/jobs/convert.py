"""From a released encoder, a target vocabulary and target text to the encoder under that vocabulary, on disk."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.cache import cached_vectors
from focus_plugin.auxiliary.options import FastTextOptions, ReadingOptions
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.auxiliary.words import load_word_vectors
from focus_plugin.calibration import calibrated_bias, text_ids
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.hub import locate
from focus_plugin.checkpoint.names import OUTPUT_BIAS
from focus_plugin.checkpoint.read import checkpoint_files, model_files, read_checkpoint
from focus_plugin.checkpoint.release import MODEL, write_release
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, read_lines, sha256, whole_directory
from focus_plugin.manifest import Manifest, already_made, describe, made, read_manifest, write_manifest
from focus_plugin.methods.extension import extended
from focus_plugin.methods.focus import FocusOptions
from focus_plugin.methods.matrix import MixingMatrix, as_mixing, load_matrix, save_matrix
from focus_plugin.methods.origins import COPIED, Origins, counts
from focus_plugin.progress import Phase, no_phase
from focus_plugin.report.page import write_report
from focus_plugin.transfer import Transfer, apply_mixing, check_finite, make_mixing, require_device
from focus_plugin.vocabulary.counts import read_counts
from focus_plugin.vocabulary.encoding import count_pieces, tokens_per_word
from focus_plugin.vocabulary.extension import extend_vocabulary
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import Vocabulary

KIND = "encoder checkpoint"
MATRIX = "mixing.safetensors"
REPORT = "report.html"
FILL = "the normal distribution of the source's rows"
LINES_FOR_LENGTH = 100_000  # tokens per word are settled long before


@dataclass(frozen=True)
class Conversion:
    """What to convert and how.

    extend: keep the source's vocabulary and append the tokens of ``vocabulary`` it lacks, rather than replace it.
    The method ``focus`` needs ``corpus`` (target text to train fastText on), or one of ``auxiliary`` (a file of
    token vectors), ``word_vectors`` (of words) and ``matrix`` (a mixing matrix made before, in place of the method).
    A corpus also gives the tokens per word, and the text of the calibration, for which ``calibrate`` tokens of it
    are read, none if it is 0. rank_bias: leave the output bias in the order of ids, as resizing a model does, rather
    than move it with its tokens, before it is calibrated. device: torch's name of where the mixtures and the
    calibration are computed.
    """

    source: Path
    vocabulary: Path
    extend: bool
    corpus: Path | None
    auxiliary: Path | None
    reading: ReadingOptions
    word_vectors: Path | None
    matrix: Path | None
    method: str
    focus: FocusOptions
    fasttext: FastTextOptions
    calibrate: int
    rank_bias: bool
    seed: int
    device: str


def convert(job: Conversion, output: Path, phase: Phase = no_phase, verbose: bool = False) -> Manifest:
    """Write the converted checkpoint, a fairseq release directory, unless ``output`` already holds it.

    Returns its manifest. Raises FocusError for any fault of the input; ``output`` is then not there.
    """
    vocabulary_files(job.vocabulary)  # tells what is missing
    located = locate(job.source, phase, verbose)
    job = replace(job, source=located.directory)
    require_device(job.device)
    manifest = _describe(job, phase)
    if not already_made(output, manifest):
        with phase("Reading the source checkpoint", 1):
            source = read_checkpoint(job.source)
            check_finite(job.source, source)
        with _target_files(job, source.vocabulary) as (dictionary, tokenizer_file):
            target, tokenizer = read_dictionary(dictionary), load_tokenizer(tokenizer_file)
            done = _transfer(job, manifest, source, target, phase, verbose)
            tensors = {**done.tensors, OUTPUT_BIAS: _bias(job, source, done.tensors, target, tokenizer, phase)}
            with whole_directory(output) as directory:
                write_release(directory, source.config, tensors, dictionary, tokenizer_file)
                if done.weights is not None:
                    save_matrix(directory / MATRIX, _matrix(source.vocabulary, target, done))
                found = {
                    **counts(done.origins),
                    **_extension_counts(job, source.vocabulary, target, done.origins),
                    "source_tokens": len(source.vocabulary),
                    "target_tokens": len(target),
                    "source_bytes": sum(path.stat().st_size for path in model_files(job.source)),
                    "target_bytes": (directory / MODEL).stat().st_size,
                    **({"source_revision": located.revision} if located.revision else {}),
                    **_lengths(job, source.tokenizer, tokenizer),
                }
                uses = _uses(job, manifest, dictionary, target, tokenizer, phase)
                tokens, described = (source.vocabulary, target, uses), replace(manifest, counts=found)
                write_report(directory / REPORT, output.name, done.origins, *tokens, described, FILL)
                write_manifest(directory, manifest, found)
    return made(output)


@contextmanager
def _target_files(job: Conversion, source: Vocabulary) -> Iterator[tuple[Path, Path]]:
    """``dict.txt`` and the tokenizer's file of the target vocabulary."""
    if not job.extend:
        yield vocabulary_files(job.vocabulary)
        return
    with tempfile.TemporaryDirectory(prefix="focus-") as directory:
        yield extend_vocabulary(job.source, source, job.vocabulary, Path(directory))


def _describe(job: Conversion, phase: Phase) -> Manifest:
    parts = {"source": checkpoint_files(job.source), "vocabulary": [*vocabulary_files(job.vocabulary)]}
    if not parts["source"]:
        read_checkpoint(job.source)  # tells what is missing
    given = {name: getattr(job, name) for name in ("auxiliary", "word_vectors", "matrix") if getattr(job, name)}
    if len(given) > 1:
        raise FocusError(
            "--auxiliary, --word-vectors and --matrix each say what to mix new tokens from; give one of them."
        )
    parts |= {name: [existing_file(path)] for name, path in given.items()}
    if job.corpus:
        parts["corpus"] = [existing_file(job.corpus)]
    options: dict[str, object] = {
        "extend": job.extend,
        "seed": job.seed,
        "calibrate": job.calibrate if job.corpus else 0,
        "rank_bias": job.rank_bias,
    }
    if not job.matrix:
        options |= {"method": job.method, "focus": asdict(job.focus)}
    if job.method == "focus" and not given:
        if not job.corpus:
            raise FocusError(
                "FOCUS needs auxiliary vectors: give --corpus (target text), or a file of them as --auxiliary (of "
                "tokens) or --word-vectors (of words)."
            )
        options["fasttext"] = asdict(job.fasttext)
    with phase("Reading the input", sum(path.stat().st_size for paths in parts.values() for path in paths)) as progress:
        inputs = {
            f"{name}/{path.name}" if name in ("source", "vocabulary") else name: sha256(path, progress)
            for name, paths in parts.items()
            for path in paths
        }
    packages = ("torch", "numpy", "fasttext-numpy2", tokenizer_package(vocabulary_files(job.vocabulary)[1]))
    return describe(KIND, options, inputs, packages)


def _transfer(
    job: Conversion, manifest: Manifest, source: Checkpoint, target: Vocabulary, phase: Phase, verbose: bool
) -> Transfer:
    if job.matrix:
        mixing = as_mixing(job.matrix, load_matrix(job.matrix), source.vocabulary, target)
        with phase("Mixing", 1):
            return apply_mixing(source.tensors, mixing, job.seed)
    # what a language's tokens are made of is found among them alone, also where they extend a vocabulary
    language = read_dictionary(vocabulary_files(job.vocabulary)[0])
    vectors = _vectors(job, manifest, language, phase, verbose) if job.method == "focus" else None
    with phase("Mixing", len(language)) as progress:
        mixing = make_mixing(job.method, source.vocabulary, language, vectors, job.focus, job.device, progress)
        if job.extend:
            mixing = extended(mixing, source.vocabulary, language, target)
        return apply_mixing(source.tensors, mixing, job.seed, job.device)


def _vectors(job: Conversion, manifest: Manifest, target: Vocabulary, phase: Phase, verbose: bool) -> TokenVectors:
    if job.auxiliary:
        uses = read_counts(vocabulary_files(job.vocabulary)[0], target)
        return load_vectors(job.auxiliary, target, uses, job.reading)
    if job.word_vectors:
        return load_word_vectors(job.word_vectors, target)
    assert job.corpus is not None
    digest = manifest.inputs["corpus"]
    return cached_vectors(job.corpus, digest, job.vocabulary, target, job.fasttext, phase, verbose)


def _bias(
    job: Conversion,
    source: Checkpoint,
    tensors: Mapping[str, Tensor],
    target: Vocabulary,
    tokenizer: Tokenizer,
    phase: Phase,
) -> Tensor:
    kept = np.array([job.extend and token in source.vocabulary.ids for token in target.tokens])
    if job.rank_bias:
        tensors = {**tensors, OUTPUT_BIAS: _resized(source.tensors[OUTPUT_BIAS], tensors[OUTPUT_BIAS], kept)}
    if not (job.corpus and job.calibrate):
        return tensors[OUTPUT_BIAS]
    text = text_ids(job.corpus, tokenizer, target, job.seed)
    with phase("Calibrating", job.calibrate) as progress:
        return calibrated_bias(
            source.config,
            tensors,
            target,
            text,
            job.calibrate,
            kept=kept,
            seed=job.seed,
            device=job.device,
            progress=progress,
        )


def _resized(source: Tensor, moved: Tensor, kept: np.ndarray) -> Tensor:
    """The output bias as resizing a model leaves it; of an extended vocabulary only ``<mask>`` is then elsewhere."""
    if kept.any():
        return moved.masked_fill(torch.from_numpy(~kept), 0)
    return torch.nn.functional.pad(source[: len(moved)], (0, max(len(moved) - len(source), 0)))


def _extension_counts(job: Conversion, source: Vocabulary, target: Vocabulary, origins: Origins) -> dict[str, int]:
    if not job.extend:
        return {}
    copied = int((origins.kind == COPIED).sum())
    return {"kept": len(source), "appended": len(target) - len(source), "appended_copied": copied - len(source)}


def _uses(
    job: Conversion, manifest: Manifest, dictionary: Path, target: Vocabulary, tokenizer: Tokenizer, phase: Phase
) -> np.ndarray | None:
    """How often each token occurs in the corpus, or without one in the text that the vocabulary was made from.

    The counts of an extended dictionary are those of different texts.
    """
    made_from = read_manifest(job.vocabulary)
    counted_already = made_from is not None and made_from.inputs.get("corpus") == manifest.inputs.get("corpus")
    if not job.extend and (counted_already or not job.corpus):
        return read_counts(dictionary, target)
    if not job.corpus:
        return None
    with phase("Counting tokens", job.corpus.stat().st_size) as progress:
        counted = count_pieces(job.corpus, tokenizer, progress).pieces
    return np.bincount(piece_ids(tokenizer, target), counted, len(target)).astype(np.int64)


def _matrix(source: Vocabulary, target: Vocabulary, done: Transfer) -> MixingMatrix:
    assert done.weights is not None
    copied = np.where(done.origins.kind == COPIED, done.origins.anchors[:, 0], -1)
    return MixingMatrix(source.tokens, target.tokens, copied, done.weights, done.origins.similarity)


def _lengths(job: Conversion, old: Tokenizer | None, new: Tokenizer) -> dict[str, float]:
    if not job.corpus:
        return {}
    tokenizers = {"source_tokens_per_word": old, "target_tokens_per_word": new}
    lines = [*islice(read_lines(job.corpus), LINES_FOR_LENGTH)]
    return {name: tokens_per_word(lines, tokenizer) for name, tokenizer in tokenizers.items() if tokenizer}
