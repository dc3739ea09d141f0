"""Auxiliary vectors as a file of their own, for fairseq-train --focus-auxiliary or another conversion."""

from pathlib import Path

from focus_plugin.auxiliary.cache import cached_vectors
from focus_plugin.auxiliary.matrices import save_vectors
from focus_plugin.auxiliary.options import FastTextOptions
from focus_plugin.auxiliary.training import train_vectors
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, require_place, sha256, whole_file
from focus_plugin.progress import Phase, no_phase
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer


def make_auxiliary(
    corpus: Path,
    vocabulary: Path,
    output: Path,
    options: FastTextOptions,
    phase: Phase = no_phase,
    verbose: bool = False,
) -> tuple[int, int]:
    """Train vectors and write the whole fastText model (``.bin``) or the tokens' vectors alone (``.safetensors``).

    Returns how many tokens have a vector of their own, and how many there are. Raises FocusError, also if
    ``output`` exists.
    """
    dictionary, tokenizer_file = vocabulary_files(vocabulary)
    target = read_dictionary(dictionary)
    if output.exists():
        raise FocusError(f"{output}: is already there; choose another --output or remove it.")
    require_place(output)
    if output.suffix == ".safetensors":
        with phase("Reading the input", existing_file(corpus).stat().st_size) as progress:
            digest = sha256(corpus, progress)
        vectors = cached_vectors(corpus, digest, vocabulary, target, options, phase, verbose)
        save_vectors(output, vectors, target)
    elif output.suffix == ".bin":
        tokenizer = load_tokenizer(tokenizer_file)
        with whole_file(output) as path, phase("Encoding for fastText", existing_file(corpus).stat().st_size) as done:
            vectors = train_vectors(corpus, tokenizer, target, options, done, model_path=path, verbose=verbose)
    else:
        raise FocusError(f"{output}: auxiliary vectors are written as .bin or .safetensors.")
    return int((vectors.vectors.any(axis=1) & ~vectors.rare).sum()), len(target)
