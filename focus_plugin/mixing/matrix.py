"""The whole mixing matrix: saved to a file, read back, applied again and shown token by token."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, parse_json, whole_file
from focus_plugin.mixing.mixing import SUM_TOLERANCE, Mixing, mixing_of
from focus_plugin.vocabulary.vocabulary import Vocabulary

_TOKENS = "tokens of a FOCUS mixing matrix"
_TYPES = {
    "copied": np.integer,
    "offsets": np.integer,
    "columns": np.integer,
    "weights": np.float32,
    "similarity": np.float32,
    "learned": np.bool_,
}


@dataclass(frozen=True)
class MixingMatrix:
    """All rows of a mixing matrix.

    source, target: the tokens of the columns and of the rows. copied: (target,), the source id of a copied row, or -1.
    weights: (target, source), float32, the mixtures; the rows of all other tokens are empty. similarity: (target,),
    float32, the cosine to the most similar anchor, NaN where no vectors were compared. learned: (target,), bool, tokens
    whose rows a method made with the source model, so that this matrix cannot reproduce them. All other tokens were
    filled. convex: see ``Mixing``.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    copied: np.ndarray
    weights: csr_matrix
    similarity: np.ndarray
    learned: np.ndarray
    convex: bool = True


def save_matrix(path: str | Path, matrix: MixingMatrix) -> None:
    """Write a matrix as one safetensors file."""
    from safetensors.numpy import save_file

    arrays = {
        "copied": matrix.copied,
        "offsets": matrix.weights.indptr.astype(np.int64),
        "columns": matrix.weights.indices.astype(np.int32),
        "weights": matrix.weights.data.astype(np.float32),
        "similarity": matrix.similarity,
        "learned": matrix.learned,
    }
    description = {"source": matrix.source, "target": matrix.target, "convex": matrix.convex}
    with whole_file(path) as temporary:  # one metadata entry: safetensors writes several in no fixed order
        save_file(arrays, temporary, {_TOKENS: json.dumps(description, ensure_ascii=False)})


def load_matrix(path: str | Path) -> MixingMatrix:
    """Read what ``save_matrix`` wrote. Raises FocusError for a file that is damaged or no mixing matrix.

    The weights of a token must be finite. They must not be negative and must sum to 1, unless the file declares that
    they are not convex. A token can be only one of copied, mixed and learned.
    """
    from safetensors import SafetensorError, safe_open

    path = existing_file(path)
    try:
        with safe_open(path, "numpy") as file:
            if _TOKENS not in (file.metadata() or {}):
                raise FocusError(f"{path}: not a mixing matrix; focus convert writes one into its output.")
            description = parse_json(file.metadata()[_TOKENS])
            stored = {name: file.get_tensor(name) for name in _TYPES}
        if wrong := [name for name, kind in _TYPES.items() if not np.issubdtype(stored[name].dtype, kind)]:
            raise ValueError(f"its array {wrong[0]} is {stored[wrong[0]].dtype}")
        source, target = tuple(description["source"]), tuple(description["target"])
        weights = csr_matrix((stored["weights"], stored["columns"], stored["offsets"]), (len(target), len(source)))
        weights.check_format()
        parts = {name: stored[name] for name in ("copied", "similarity", "learned")}
        matrix = MixingMatrix(source, target, weights=weights, convex=bool(description["convex"]), **parts)
        _check(matrix)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FocusError(f"{path}: damaged or not a mixing matrix ({error}).") from error
    return matrix


def _check(matrix: MixingMatrix) -> None:
    copied, weights = matrix.copied, matrix.weights
    if not copied.shape == matrix.similarity.shape == matrix.learned.shape == (len(matrix.target),):
        raise ValueError("its parts have different lengths")
    if not np.isin(copied, np.arange(-1, len(matrix.source))).all():
        raise ValueError("it points beyond the source vocabulary")
    if not np.isfinite(weights.data).all() or np.isinf(matrix.similarity).any():
        raise ValueError("it holds infinity, or NaN as a weight")
    mixed, sums = np.diff(weights.indptr) > 0, np.asarray(weights.sum(axis=1, dtype=np.float64)).ravel()
    if matrix.convex and ((weights.data < 0).any() or (np.abs(sums[mixed] - 1) > SUM_TOLERANCE).any()):
        raise ValueError("the weights of a token are negative or do not sum to 1")
    if (mixed.astype(int) + (copied >= 0) + matrix.learned > 1).any():
        raise ValueError("a token is two of copied, mixed and learned")


def as_mixing(path: str | Path, matrix: MixingMatrix, source: Vocabulary, target: Vocabulary) -> Mixing:
    """The matrix read from ``path`` as a ``Mixing``, to be applied again.

    Raises FocusError if the tokens of the vocabularies are not those that it was made for, and if it has learned rows.
    """
    for name, tokens, theirs in (("source", source.tokens, matrix.source), ("target", target.tokens, matrix.target)):
        if tokens != theirs:
            different = next((pair for pair in zip(tokens, theirs, strict=False) if pair[0] != pair[1]), None)
            where = f"the first difference is {different[1]!r} in the file, {different[0]!r} here" if different else ""
            where = where or f"it has {len(theirs)} tokens in the file, {len(tokens)} here"
            raise FocusError(f"{path}: was made for another {name} vocabulary; {where}.")
    if matrix.learned.any():
        raise FocusError(
            f"{path}: {int(matrix.learned.sum())} of its tokens have rows that a method made with the source model; "
            "such rows are not in the mixing matrix. Convert with the method instead."
        )
    return mixing_of(matrix.copied, matrix.weights, matrix.similarity, convex=matrix.convex)


def mixture(matrix: MixingMatrix, row: int) -> Sequence[tuple[str, float]]:
    """The source tokens of a target row with their weights, ordered by absolute weight, largest first. A copied row has
    one token of weight 1; a filled or learned row has none."""
    if matrix.copied[row] >= 0:
        return [(matrix.source[matrix.copied[row]], 1.0)]
    part = matrix.weights[row]
    order = np.lexsort((part.indices, -np.abs(part.data)))
    return [(matrix.source[part.indices[i]], float(part.data[i])) for i in order]
