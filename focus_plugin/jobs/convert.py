"""From a released encoder, a target vocabulary and target text to the encoder under that vocabulary, on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from torch import Tensor

from focus_plugin.auxiliary.cache import cached_vectors
from focus_plugin.auxiliary.training import FastTextOptions
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.auxiliary.words import load_word_vectors
from focus_plugin.calibration import calibrated_bias, text_ids
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import OUTPUT_BIAS
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint
from focus_plugin.checkpoint.release import MODEL, write_release
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, read_lines, sha256, whole_directory
from focus_plugin.manifest import Manifest, already_made, describe, made, write_manifest
from focus_plugin.methods.matrix import MixingMatrix, save_matrix
from focus_plugin.methods.origins import COPIED, counts
from focus_plugin.progress import Phase, no_phase
from focus_plugin.transfer import Transfer, apply_mixing, check_finite, make_mixing
from focus_plugin.vocabulary.encoding import tokens_per_word
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary

KIND = "encoder checkpoint"
MATRIX = "mixing.safetensors"
LINES_FOR_LENGTH = 100_000  # tokens per word are settled long before


@dataclass(frozen=True)
class Conversion:
    """What to convert and how.

    The method ``focus`` needs ``corpus`` (target text to train fastText on), or one of ``auxiliary`` (a file of
    token vectors) and ``word_vectors`` (of words). A corpus also gives the tokens per word, and the text of the
    calibration, for which ``calibrate`` tokens of it are read, none if it is 0. device: torch's name of where the
    mixtures and the calibration are computed.
    """

    source: Path
    vocabulary: Path
    corpus: Path | None
    auxiliary: Path | None
    word_vectors: Path | None
    method: str
    fasttext: FastTextOptions
    seed: int
    calibrate: int = 0
    device: str = "cpu"


def convert(job: Conversion, output: Path, phase: Phase = no_phase, verbose: bool = False) -> Manifest:
    """Write the converted checkpoint, a fairseq release directory, unless ``output`` already holds it.

    Returns its manifest. Raises FocusError for any fault of the input; ``output`` is then not there.
    """
    dictionary, tokenizer_file = vocabulary_files(job.vocabulary)
    manifest = _describe(job, phase)
    if not already_made(output, manifest):
        target = read_dictionary(dictionary)
        with phase("Reading the source checkpoint", 1):
            source = read_checkpoint(job.source)
            check_finite(job.source, source)
        vectors = _vectors(job, target, phase, verbose)
        with phase("Mixing", len(target)) as progress:
            mixing = make_mixing(job.method, source.vocabulary, target, vectors, job.device, progress)
            done = apply_mixing(source.tensors, mixing, job.seed, job.device)
        tensors = {**done.tensors, OUTPUT_BIAS: _bias(job, source.config, done.tensors, target, tokenizer_file, phase)}
        with whole_directory(output) as directory:
            write_release(directory, source.config, tensors, dictionary, tokenizer_file)
            if done.weights is not None:
                save_matrix(directory / MATRIX, _matrix(source.vocabulary, target, done))
            found = {
                **counts(done.origins),
                "source_tokens": len(source.vocabulary),
                "target_tokens": len(target),
                "source_bytes": _model_bytes(job.source),
                "target_bytes": (directory / MODEL).stat().st_size,
            }
            if job.corpus:
                new = load_tokenizer(tokenizer_file)
                lengths = {"source_tokens_per_word": source.tokenizer, "target_tokens_per_word": new}
                for name, tokenizer in lengths.items():
                    if tokenizer:
                        found[name] = tokens_per_word(islice(read_lines(job.corpus), LINES_FOR_LENGTH), tokenizer)
            write_manifest(directory, manifest, found)
    return made(output)


def _describe(job: Conversion, phase: Phase) -> Manifest:
    parts = {"source": checkpoint_files(job.source), "vocabulary": [*vocabulary_files(job.vocabulary)]}
    if not parts["source"]:
        read_checkpoint(job.source)  # tells what is missing
    if job.auxiliary and job.word_vectors:
        raise FocusError("--auxiliary and --word-vectors both give the auxiliary vectors; leave out one of them.")
    if job.auxiliary:
        parts["auxiliary"] = [existing_file(job.auxiliary)]
    if job.word_vectors:
        parts["word_vectors"] = [existing_file(job.word_vectors)]
    if job.corpus:
        parts["corpus"] = [existing_file(job.corpus)]
    options: dict[str, object] = {"method": job.method, "seed": job.seed, "calibrate": job.calibrate}
    if job.method == "focus":
        if not (job.corpus or job.auxiliary or job.word_vectors):
            raise FocusError(
                "FOCUS needs auxiliary vectors: give --corpus (target text), or a file of them as --auxiliary (of "
                "tokens) or --word-vectors (of words)."
            )
        if not (job.auxiliary or job.word_vectors):
            options["fasttext"] = asdict(job.fasttext)
    with phase("Reading the input", sum(path.stat().st_size for paths in parts.values() for path in paths)) as progress:
        inputs = {
            name if name in ("corpus", "auxiliary", "word_vectors") else f"{name}/{path.name}": sha256(path, progress)
            for name, paths in parts.items()
            for path in paths
        }
    return describe(KIND, options, inputs, ("torch", "numpy", "entmax", "sentencepiece", "fasttext-numpy2"))


def _vectors(job: Conversion, target: Vocabulary, phase: Phase, verbose: bool) -> np.ndarray | None:
    if job.method != "focus":
        return None
    if job.auxiliary:
        return load_vectors(job.auxiliary, target)
    if job.word_vectors:
        return load_word_vectors(job.word_vectors, target)
    assert job.corpus is not None
    return cached_vectors(job.corpus, job.vocabulary, target, job.fasttext, phase, verbose)


def _bias(
    job: Conversion,
    config: EncoderConfig,
    tensors: Mapping[str, Tensor],
    target: Vocabulary,
    tokenizer_file: Path,
    phase: Phase,
) -> Tensor:
    if not (job.corpus and job.calibrate):
        return tensors[OUTPUT_BIAS]
    text = text_ids(job.corpus, load_tokenizer(tokenizer_file), target, job.seed)
    with phase("Calibrating", job.calibrate) as progress:
        return calibrated_bias(
            config, tensors, target, text, job.calibrate, seed=job.seed, device=job.device, progress=progress
        )


def _matrix(source: Vocabulary, target: Vocabulary, done: Transfer) -> MixingMatrix:
    assert done.weights is not None
    copied = np.where(done.origins.kind == COPIED, done.origins.anchors[:, 0], -1)
    return MixingMatrix(source.tokens, target.tokens, copied, done.weights, done.origins.similarity)


def _model_bytes(source: Path) -> int:
    weights = (source / name for name in (MODEL, "model.safetensors", "pytorch_model.bin"))
    return next(path.stat().st_size for path in weights if path.is_file())
