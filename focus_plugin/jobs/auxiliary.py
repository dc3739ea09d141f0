"""Writes auxiliary embeddings into a file, for fairseq-train --focus-auxiliary or for several conversions."""

from dataclasses import replace
from pathlib import Path

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.cache import cached_file, cached_vectors
from focus_plugin.auxiliary.matrices import save_vectors
from focus_plugin.auxiliary.options import FASTTEXT, VectorInput, VectorOptions
from focus_plugin.auxiliary.trainers import train_vectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.errors import FocusError
from focus_plugin.files import cache_directory, require_place, scratch_directory, whole_file
from focus_plugin.forecast.forecast import AT_ONCE, Launch, begin, existing_parent
from focus_plugin.forecast.vectors import auxiliary_forecast
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer


def make_auxiliary(
    made_of: VectorInput,
    options: VectorOptions,
    output: Path,
    phase: Phase = no_phase,
    verbose: bool = False,
    launch: Launch = AT_ONCE,
) -> tuple[int, int]:
    """Train vectors and write those of the tokens (``.safetensors``), or the whole model of fastText (``.bin``).

    Returns how many tokens have a vector of their own, and how many there are. Raises FocusError, also if
    ``output`` exists.
    """
    dictionary, tokenizer_file = vocabulary_files(made_of.vocabulary)
    corpus = Text.of(*made_of.corpus)
    target = read_dictionary(dictionary)
    if output.exists():
        raise FocusError(f"{output}: already exists; choose another --output or remove it.")
    require_place(output)
    if output.suffix not in (".safetensors", ".bin"):
        raise FocusError(f"{output}: auxiliary embeddings are written as .bin or .safetensors.")
    model = output.suffix == ".bin"
    if model and options.trainer != FASTTEXT:
        raise FocusError(f"{output}: .bin is the format of fastText's models; give --trainer {FASTTEXT}.")
    job = VectorTraining(
        corpus=corpus,
        tokenizer=load_tokenizer(tokenizer_file),
        target=target,
        options=options,
        seed=made_of.seed,
        scratch=existing_parent(output) if model else cache_directory(),
        verbose=verbose,
    )
    if model:
        begin(auxiliary_forecast(job, output, model, cached=False), launch)
        vectors = _write_model(job, output, phase)
    else:
        with phase("Reading the input", corpus.bytes) as progress:
            digest = corpus.content(progress).digest
        cached = cached_file(made_of, digest, options).is_file()
        begin(auxiliary_forecast(job, output, model, cached), launch)
        vectors = cached_vectors(made_of, digest, target, options, phase, verbose)
        save_vectors(output, vectors, target)
    return int((vectors.vectors.any(axis=1) & ~vectors.rare).sum()), len(target)


def _write_model(job: VectorTraining, output: Path, phase: Phase) -> TokenVectors:
    """Train with fastText and write the whole model."""
    with scratch_directory(output) as scratch:
        vectors = train_vectors(replace(job, scratch=scratch), phase, scratch / "model.bin")
        with whole_file(output) as path:
            (scratch / "model.bin").replace(path)
    return vectors
