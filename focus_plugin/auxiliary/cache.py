"""A cache of trained vectors, found by the vocabulary, the digest of the text, the options and the random seed."""

import hashlib
import json
import os
from pathlib import Path

from focus_plugin import __version__
from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.matrices import save_vectors
from focus_plugin.auxiliary.options import VectorInput, VectorOptions
from focus_plugin.auxiliary.trainers import train_vectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.errors import FocusError
from focus_plugin.files import cache_directory, scratch_directory, sha256
from focus_plugin.manifest import installed_version
from focus_plugin.progress import Phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary


def cached_vectors(
    made_of: VectorInput,
    digest: str,
    target: Vocabulary,
    options: VectorOptions,
    phase: Phase,
    verbose: bool = False,
) -> TokenVectors:
    """The vectors of ``train_vectors``, from the cache if it has them; otherwise they are trained and put there.

    ``digest``: the SHA-256 of the corpus. ``target``: the vocabulary of ``made_of``. Raises FocusError if the cache
    cannot be written, and as ``train_vectors`` does.
    """
    path = cached_file(made_of, digest, options)
    if not path.is_file():
        _require_writable(path.parent)
        with scratch_directory(path) as scratch:
            job = VectorTraining(
                corpus=Text.of(*made_of.corpus),
                tokenizer=load_tokenizer(vocabulary_files(made_of.vocabulary)[1]),
                target=target,
                options=options,
                seed=made_of.seed,
                scratch=scratch,
                verbose=verbose,
            )
            save_vectors(path, train_vectors(job, phase), target)
    return load_vectors(path, target)


def cached_file(made_of: VectorInput, digest: str, options: VectorOptions) -> Path:
    """The path of these vectors in the cache; the file need not exist. ``digest``: see ``cached_vectors``."""
    files = vocabulary_files(made_of.vocabulary)
    packages = ("fasttext", "numpy", "scipy", tokenizer_package(files[1]))
    made_from = {
        "corpus": digest,
        "vocabulary": [sha256(path) for path in files],
        "options": options.effective(),
        "seed": made_of.seed,
        "versions": [__version__, *map(installed_version, packages)],
    }
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return cache_directory() / f"{key}.safetensors"


def _require_writable(directory: Path) -> None:
    """Raise FocusError before the training if its result could not be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise FocusError(f"{directory}: the cache of vectors cannot be written; set FOCUS_CACHE to another directory.")
