"""Reads and writes matrices of token vectors: ``.npz`` files of NumPy and ``.safetensors`` files."""

import hashlib
import json
from pathlib import Path

import numpy as np

from focus_plugin.auxiliary.alignment import NamedVectors, TokenVectors
from focus_plugin.errors import FocusError, first_line
from focus_plugin.files import parse_json, whole_file
from focus_plugin.vocabulary.vocabulary import Vocabulary

FLOATS = {"F16": "float16", "F32": "float32", "F64": "float64"}  # names in safetensors and in NumPy
_NAMES = ("vectors", "embeddings")


def save_vectors(path: str | Path, auxiliary: TokenVectors, target: Vocabulary) -> None:
    """Write the rows that are not zero, with their tokens, into one compact ``.safetensors`` file.

    The file also has a checksum of the vocabulary, because the tokens alone do not show for which one it was made.
    """
    from safetensors.numpy import save_file

    known = np.flatnonzero(auxiliary.vectors.any(axis=1))
    tokens = json.dumps([target.tokens[i] for i in known], ensure_ascii=False)
    # The tokens are the only metadata entry, because safetensors writes several entries in no fixed order.
    tensors = {
        "vectors": np.ascontiguousarray(auxiliary.vectors[known]),
        "rare": auxiliary.rare[known].astype(np.uint8),
        "vocabulary": _identity(target),
    }
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"tokens": tokens})


def read_safetensors(path: Path, target: Vocabulary) -> NamedVectors:
    """The vectors in a file of ``save_vectors``, or in another file with one matrix of one row per target token.

    Such a matrix is named ``vectors`` or ``embeddings``. Raises FocusError for any other content, and for a file whose
    checksum is that of another vocabulary.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            metadata, held = file.metadata() or {}, file.keys()
            names = [name for name in _NAMES if name in held]
            if len(names) != 1:
                raise FocusError(f"{path}: expected one matrix, named {' or '.join(_NAMES)}.")
            kind = file.get_slice(names[0]).get_dtype()
            vectors = file.get_tensor(names[0]) if kind in FLOATS else None
            vocabulary, rare = (file.get_tensor(name) if name in held else None for name in ("vocabulary", "rare"))
        tokens = parse_json(metadata["tokens"]) if "tokens" in metadata else None
    except (SafetensorError, ValueError) as error:
        raise FocusError(f"{path}: damaged, or not a file of token vectors ({error}).") from error
    if vectors is None:
        raise FocusError(_wrong_type(path, kind))
    if vocabulary is not None and not np.array_equal(vocabulary, _identity(target)):
        raise FocusError(
            f"{path}: was made for another vocabulary than the target's; make it again with focus auxiliary."
        )
    if tokens is not None and not (isinstance(tokens, list) and all(isinstance(token, str) for token in tokens)):
        raise FocusError(f"{path}: expected its tokens as a list of strings.")
    named = _named(path, tokens, vectors, target)
    if rare is None:
        return named
    if rare.shape != (len(vectors),):
        raise FocusError(f"{path}: its array rare has {len(rare)} entries, but it has {len(vectors)} vectors.")
    seen, unseen = np.flatnonzero(rare == 0), np.flatnonzero(rare)
    words, others = ([named.words[i] for i in part] for part in (seen, unseen))
    return NamedVectors(words, vectors[seen], [], others, vectors[unseen])


def read_npz(path: Path, target: Vocabulary) -> NamedVectors:
    """The vectors in an ``.npz`` file.

    It has the arrays ``tokens``, shape (n,), strings, and ``vectors``, shape (n, dimension); or ``vectors`` alone, with
    one row per target token. Raises FocusError for anything else, and for pickled objects, which are not loaded.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("tokens", "vectors") if name in file}
    except Exception as error:  # a damaged file can make NumPy raise anything
        raise FocusError(f"{path}: damaged, or not an .npz file of plain arrays ({first_line(error)}).") from error
    if "vectors" not in arrays:
        raise FocusError(f"{path}: has no array named vectors.")
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):  # NumPy gives bytes of an unknown format
        raise FocusError(f"{path}: damaged, or not an .npz file of plain arrays.")
    vectors, tokens = arrays["vectors"], arrays.get("tokens")
    if vectors.dtype not in FLOATS.values():
        raise FocusError(_wrong_type(path, str(vectors.dtype)))
    if tokens is not None and (tokens.ndim != 1 or tokens.dtype.kind != "U"):
        raise FocusError(f"{path}: its tokens are {tokens.dtype} of shape {tokens.shape}; expected a list of strings.")
    return _named(path, None if tokens is None else tokens.tolist(), vectors, target)


def _named(path: Path, tokens: list[str] | None, vectors: np.ndarray, target: Vocabulary) -> NamedVectors:
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise FocusError(f"{path}: its vectors have shape {vectors.shape}; expected one row per token.")
    names = list(target.tokens) if tokens is None else tokens
    if len(names) != len(vectors):
        whose = "tokens of the target vocabulary, and no array of tokens" if tokens is None else "tokens"
        raise FocusError(f"{path}: has {len(vectors)} vectors for {len(names)} {whose}.")
    return NamedVectors(names, vectors, [])


def _wrong_type(path: Path, kind: str) -> str:
    return f"{path}: its vectors are {kind}; expected {', '.join(FLOATS.values())}."


def _identity(target: Vocabulary) -> np.ndarray:
    """SHA-256 of the sorted tokens."""
    return np.frombuffer(hashlib.sha256("\n".join(sorted(target.tokens)).encode()).digest(), dtype=np.uint8)
