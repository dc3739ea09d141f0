"""Auxiliary embeddings as a file of their own, for fairseq-train --focus-auxiliary or another conversion."""

from pathlib import Path

from focus_plugin.auxiliary.cache import cached_vectors
from focus_plugin.auxiliary.matrices import save_vectors
from focus_plugin.auxiliary.options import FASTTEXT, VectorInput, VectorOptions
from focus_plugin.auxiliary.trainers import train_vectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.errors import FocusError
from focus_plugin.files import require_place, scratch_directory, whole_file
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
) -> tuple[int, int]:
    """Train vectors and write those of the tokens (``.safetensors``), or the whole model of fastText (``.bin``).

    Returns how many tokens have a vector of their own, and how many there are. Raises FocusError, also if
    ``output`` exists.
    """
    dictionary, tokenizer_file = vocabulary_files(made_of.vocabulary)
    corpus = Text.of(*made_of.corpus)
    target = read_dictionary(dictionary)
    if output.exists():
        raise FocusError(f"{output}: is already there; choose another --output or remove it.")
    require_place(output)
    if output.suffix == ".safetensors":
        with phase("Reading the input", corpus.bytes) as progress:
            digest = corpus.content(progress).digest
        vectors = cached_vectors(made_of, digest, target, options, phase, verbose)
        save_vectors(output, vectors, target)
    elif output.suffix == ".bin":
        if options.trainer != FASTTEXT:
            raise FocusError(f"{output}: .bin is the format of fastText's models; give --trainer {FASTTEXT}.")
        with scratch_directory(output) as scratch:
            job = VectorTraining(
                corpus=corpus,
                tokenizer=load_tokenizer(tokenizer_file),
                target=target,
                options=options,
                seed=made_of.seed,
                scratch=scratch,
                verbose=verbose,
            )
            vectors = train_vectors(job, phase, scratch / "model.bin")
            with whole_file(output) as path:
                (scratch / "model.bin").replace(path)
    else:
        raise FocusError(f"{output}: auxiliary embeddings are written as .bin or .safetensors.")
    return int((vectors.vectors.any(axis=1) & ~vectors.rare).sum()), len(target)
