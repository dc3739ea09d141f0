"""From a released encoder, a target vocabulary and target text to the encoder under that vocabulary, on disk."""

from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from focus_plugin.auxiliary.cache import cached_vectors
from focus_plugin.auxiliary.training import FastTextOptions
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint
from focus_plugin.checkpoint.release import MODEL, write_release
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, read_lines, sha256, whole_directory
from focus_plugin.manifest import Manifest, already_made, describe, made, write_manifest
from focus_plugin.progress import Phase, no_phase
from focus_plugin.transfer import apply_mixing, check_finite, make_mixing
from focus_plugin.vocabulary.encoding import tokens_per_word
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary

KIND = "encoder checkpoint"
LINES_FOR_LENGTH = 100_000  # tokens per word are settled long before


@dataclass(frozen=True)
class Conversion:
    """What to convert and how. Either ``corpus`` (target text to train fastText on) or ``auxiliary`` (a file of
    vectors) is needed by the method ``focus``; a corpus also gives the tokens per word."""

    source: Path
    vocabulary: Path
    corpus: Path | None
    auxiliary: Path | None
    method: str
    fasttext: FastTextOptions
    seed: int


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
            mixing = make_mixing(job.method, source.vocabulary, target, vectors, progress)
            tensors, counts = apply_mixing(source.tensors, mixing, job.seed)
        with whole_directory(output) as directory:
            write_release(directory, source.config, tensors, dictionary, tokenizer_file)
            found = {
                **asdict(counts),
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
    if job.auxiliary:
        parts["auxiliary"] = [existing_file(job.auxiliary)]
    if job.corpus:
        parts["corpus"] = [existing_file(job.corpus)]
    options: dict[str, object] = {"method": job.method, "seed": job.seed}
    if job.method == "focus":
        if not (job.corpus or job.auxiliary):
            raise FocusError(
                "FOCUS needs auxiliary vectors: give --corpus (target text) or --auxiliary (a file of them)."
            )
        if not job.auxiliary:
            options["fasttext"] = asdict(job.fasttext)
    with phase("Reading the input", sum(path.stat().st_size for paths in parts.values() for path in paths)) as progress:
        inputs = {
            name if name in ("corpus", "auxiliary") else f"{name}/{path.name}": sha256(path, progress)
            for name, paths in parts.items()
            for path in paths
        }
    return describe(KIND, options, inputs, ("torch", "numpy", "entmax", "sentencepiece", "fasttext-numpy2"))


def _vectors(job: Conversion, target: Vocabulary, phase: Phase, verbose: bool) -> np.ndarray | None:
    if job.method != "focus":
        return None
    if job.auxiliary:
        return load_vectors(job.auxiliary, target)
    assert job.corpus is not None
    return cached_vectors(job.corpus, job.vocabulary, target, job.fasttext, phase, verbose)


def _model_bytes(source: Path) -> int:
    weights = (source / name for name in (MODEL, "model.safetensors", "pytorch_model.bin"))
    return next(path.stat().st_size for path in weights if path.is_file())
