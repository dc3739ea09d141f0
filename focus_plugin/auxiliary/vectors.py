"""Reads static vectors of the target's tokens from a file."""

from pathlib import Path

import numpy as np

from focus_plugin.auxiliary.alignment import (
    NamedVectors,
    TokenVectors,
    align,
    check_counts,
    check_names,
    check_unique,
)
from focus_plugin.auxiliary.fasttext_files import TEXT_SUFFIXES, read_model, read_text
from focus_plugin.auxiliary.matrices import read_npz, read_safetensors
from focus_plugin.auxiliary.options import ReadingOptions
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file
from focus_plugin.vocabulary.vocabulary import Vocabulary

CHECKED = ReadingOptions()
SUFFIXES = (".bin", *TEXT_SUFFIXES, ".npz", ".safetensors")
_NONE = "{}: has no vector for any token of the target vocabulary; it was made with another vocabulary."


def load_vectors(
    path: str | Path,
    target: Vocabulary,
    uses: np.ndarray | None = None,
    options: ReadingOptions = CHECKED,
) -> TokenVectors:
    """Vectors of ``target``'s tokens, read from a file.

    The file is a fastText model of tokens (``.bin``), in fastText's text format (TEXT_SUFFIXES), or a matrix
    (``.npz``, ``.safetensors``). ``uses``: shape (target,), how often each token occurs in the text of the vocabulary,
    None if that is unknown. Raises FocusError for a damaged file, two vectors of one token, NaN or infinity, and for a
    file that looks as if it was made with another tokenizer, unless ``options`` switch this check off.
    """
    path = existing_file(path)
    found = _read(path, target)
    if not found.words:
        raise FocusError(_NONE.format(path))
    check_unique(path, found)
    if not options.skip_tokenizer_check:
        check_names(path, found, target)
        if uses is not None:
            check_counts(path, found, target, uses)
    aligned = align(found, target)
    if not np.isfinite(aligned.vectors).all():
        raise FocusError(f"{path}: holds NaN or infinity; make the vectors again.")
    if not aligned.vectors[~target.special & ~aligned.rare].any():
        raise FocusError(_NONE.format(path))
    return aligned


def _read(path: Path, target: Vocabulary) -> NamedVectors:
    if path.name.endswith(TEXT_SUFFIXES):
        return read_text(path, target.ids, of_tokens=True)
    match path.suffix:
        case ".bin":
            return read_model(path, target)
        case ".npz":
            return read_npz(path, target)
        case ".safetensors":
            return read_safetensors(path, target)
    raise FocusError(f"{path}: auxiliary embeddings are read from {', '.join(SUFFIXES)} files.")
