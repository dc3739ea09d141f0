"""A checkpoint under a new vocabulary: the mixing matrix applied to every tensor that has a row a token."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.methods.focus import DEFAULT, FocusOptions, focus
from focus_plugin.methods.mixing import Block, Mixing, sparse_parts, supports, without_small
from focus_plugin.methods.origins import COPIED, FILLED, LISTED, MIXED, Origins
from focus_plugin.methods.random import random
from focus_plugin.vocabulary.vocabulary import Vocabulary

METHODS = ("focus", "random")
MOMENT_ROWS = 1024  # of a source matrix at a time: they fit a processor's cache
LARGEST_KEPT = 20_000_000  # entries of a mixing matrix, 160 MB


@dataclass(frozen=True)
class Transfer:
    """What came of a mixing matrix and a checkpoint.

    tensors: the checkpoint's, with rows for the target's tokens. origins: where each row came from. weights: the
    mixtures, shape (target, source), None if they have more than LARGEST_KEPT entries, as in a flat auxiliary space.
    """

    tensors: dict[str, Tensor]
    origins: Origins
    weights: csr_matrix | None


def make_mixing(
    method: str,
    source: Vocabulary,
    target: Vocabulary,
    auxiliary: TokenVectors | None,
    options: FocusOptions = DEFAULT,
    device: str = "cpu",
    progress: Progress = silent,
) -> Mixing:
    """The mixing matrix by the name of its method, one of METHODS; see there for the arguments."""
    if method == "random":
        return random(source, target, options.matching)
    if auxiliary is None:
        raise FocusError("FOCUS needs auxiliary vectors of the target tokens: give a corpus, or a file of vectors.")
    return focus(source, target, auxiliary, options, device, progress)


def apply_mixing(source: Mapping[str, Tensor], mixing: Mixing, seed: int, device: str = "cpu") -> Transfer:
    """Apply ``mixing`` to the tensors of a checkpoint; tensors that have no row a token are passed on as they are.

    Rows without a mixture are drawn from a normal distribution with the mean and standard deviation of each
    source dimension (section 3.3 of the FOCUS paper), seeded as the authors' package seeds them; their bias is the
    source's mean. ``device`` is that of the mixing's blocks. Consumes ``mixing``.
    """
    matrices = {EMBEDDING: source[EMBEDDING], OUTPUT_BIAS: source[OUTPUT_BIAS][:, None]}
    if source[OUTPUT_EMBEDDING] is not source[EMBEDDING]:
        matrices[OUTPUT_EMBEDDING] = source[OUTPUT_EMBEDDING]
    rows, kept = len(mixing.copied), torch.from_numpy(np.flatnonzero(mixing.copied >= 0))
    target = {name: matrix.new_empty(rows, matrix.shape[1]) for name, matrix in matrices.items()}
    for name, matrix in matrices.items():
        target[name][kept] = matrix[mixing.copied[kept]]
    origins, weights = _mix(matrices, mixing, target, device)
    filled = torch.from_numpy(np.flatnonzero(origins.kind == FILLED))
    generator = torch.Generator().manual_seed(seed)
    for name, matrix in matrices.items():
        draw = matrix.mean(0) if name == OUTPUT_BIAS else normal_rows(matrix, len(filled), generator)
        target[name][filled] = draw
    tensors = {**source, **target, OUTPUT_BIAS: target[OUTPUT_BIAS][:, 0]}
    tensors[OUTPUT_EMBEDDING] = target.get(OUTPUT_EMBEDDING, target[EMBEDDING])
    return Transfer(tensors, origins, weights)


def normal_rows(matrix: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` rows drawn from N(mean, standard deviation) of the columns of ``matrix``; (count, width).

    Drawn one by one: so the authors' package gives the same.
    """
    rows = matrix.new_empty(count, matrix.shape[1])
    mean, deviation = _moments(matrix)
    for row in rows:
        row.copy_(torch.normal(mean, deviation, generator=generator))
    return rows


def _moments(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the columns: torch.std_mean takes twenty times as long down many rows."""
    mean = matrix.mean(0)
    squares = torch.zeros_like(mean, dtype=torch.float64)
    for part in torch.split(matrix, MOMENT_ROWS):
        squares += (part - mean).square().sum(0)
    return mean, (squares / (len(matrix) - 1)).sqrt().to(matrix.dtype)


def _mix(
    matrices: Mapping[str, Tensor], mixing: Mixing, target: Mapping[str, Tensor], device: str
) -> tuple[Origins, csr_matrix | None]:
    """Fill the mixed rows of ``target``; see Transfer for what is returned."""
    origins = _unmixed(mixing.copied)
    anchors = {name: matrix[mixing.anchors].to(device) for name, matrix in matrices.items()}
    parts: list[tuple[np.ndarray, np.ndarray]] | None = []
    for block in mixing.blocks:
        for name, matrix in anchors.items():
            target[name][block.rows] = (block.weights @ matrix).cpu()
        _note(origins, block, mixing.anchors)
        if parts is None or origins.support.sum(dtype=np.int64) > LARGEST_KEPT:
            parts = None
        else:
            _, columns, values = sparse_parts(block.weights)
            parts.append((mixing.anchors[columns].astype(np.int32), values))
    if parts is None:
        return origins, None
    return origins, _whole(parts, origins.support, len(matrices[EMBEDDING]))


def _unmixed(copied: np.ndarray) -> Origins:
    anchors = np.full((len(copied), LISTED), -1, np.int32)
    anchors[:, 0] = copied
    weights = np.zeros((len(copied), LISTED), np.float32)
    weights[:, 0] = copied >= 0
    kind = np.where(copied >= 0, COPIED, FILLED).astype(np.int8)
    return Origins(kind, np.zeros(len(copied), np.int32), np.full(len(copied), np.nan, np.float32), anchors, weights)


def _note(origins: Origins, block: Block, anchors: np.ndarray) -> None:
    """Note the supports, the similarities and the LISTED largest weights of a block."""
    origins.kind[block.rows] = MIXED
    origins.support[block.rows] = supports(block.weights)
    origins.similarity[block.rows] = block.similarity.cpu().numpy()
    offsets, columns, values = sparse_parts(without_small(block.weights, LISTED))
    row, ids = np.repeat(np.arange(len(block.rows)), np.diff(offsets)), anchors[columns]
    order = np.lexsort((ids, -values, row))
    place = np.arange(len(values)) - offsets[row]
    first = place < LISTED
    into = (block.rows[row[first]], place[first])
    origins.anchors[into] = ids[order][first]
    origins.weights[into] = values[order][first]


def _whole(parts: list[tuple[np.ndarray, np.ndarray]], support: np.ndarray, width: int) -> csr_matrix:
    """The matrix of all blocks, whose rows are in order."""
    empty = (np.empty(0, np.int32), np.empty(0, np.float32))
    columns, values = (np.concatenate(arrays) for arrays in zip(empty, *parts, strict=True))
    offsets = np.concatenate([[0], np.cumsum(support, dtype=np.int64)])
    matrix = csr_matrix((values, columns, offsets), (len(support), width))
    matrix.sort_indices()
    return matrix


def require_device(device: str) -> None:
    """Raise FocusError unless torch can compute on ``device`` and give the result."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise FocusError(f"--device {device}: torch cannot compute there ({str(error).splitlines()[0]}).") from error


def check_finite(path: Path, checkpoint: Checkpoint) -> None:
    """Raise FocusError if a tensor holds NaN or infinity: one in any layer would make the calibrated bias NaN."""
    for name, tensor in checkpoint.tensors.items():
        if not torch.isfinite(torch.stack(torch.aminmax(tensor))).all():  # a NaN is both; nothing is copied
            raise FocusError(f"{path}: {name} holds NaN or infinity; the checkpoint is damaged.")


def initialize(
    source: str | Path,
    target: Vocabulary,
    auxiliary: str | Path | None,
    method: str,
    seed: int,
    uses: np.ndarray | None = None,
) -> dict[str, Tensor]:
    """The weights of ``source`` under the vocabulary ``target``, under fairseq's names: what the plugin builds from.

    ``auxiliary``: a file of vectors; for it and ``uses`` see ``load_vectors``. Raises FocusError.
    """
    checkpoint = read_checkpoint(source)
    check_finite(Path(source), checkpoint)
    vectors = load_vectors(auxiliary, target, uses) if auxiliary else None
    return apply_mixing(checkpoint.tensors, make_mixing(method, checkpoint.vocabulary, target, vectors), seed).tensors
