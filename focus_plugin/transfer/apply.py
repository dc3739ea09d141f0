"""Applies the result of a method to every tensor of a checkpoint that has one row a token."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING, PROJECTION
from focus_plugin.mixing.mixing import Block, Mixing, shares, sparse_parts, sparse_weights, supports, without_small
from focus_plugin.mixing.rows import Rows
from focus_plugin.transfer.origins import COPIED, FILLED, LEARNED, LISTED, MIXED, Origins

MOMENT_ROWS = 1024  # rows of a source matrix processed at once, few enough for a processor's cache
LARGEST_KEPT = 20_000_000  # entries of a mixing matrix that is kept, 160 MB


@dataclass(frozen=True)
class Transfer:
    """A checkpoint with the target vocabulary, and where its rows came from.

    tensors: the tensors of the checkpoint, with rows for the target's tokens. origins: where each row came from.
    weights: the mixtures, shape (target, source); None if they have more than LARGEST_KEPT entries, which happens if
    all auxiliary embeddings are similar. convex: see ``Mixing``. notes: the sentences that the method told.
    """

    tensors: dict[str, Tensor]
    origins: Origins
    weights: csr_matrix | None
    convex: bool = True
    notes: tuple[str, ...] = ()


def apply(
    source: Mapping[str, Tensor], made: Mixing | Rows, *, seed: int, device: str = "cpu", fill: str = "normal"
) -> Transfer:
    """Apply what a method made to the tensors of a checkpoint. Tensors without one row a token remain unchanged.

    Rows that the method did not make are filled. ``fill`` "normal": drawn from a normal distribution with the mean and
    standard deviation of each source dimension (section 3.3 of the FOCUS paper), seeded as in the authors' package;
    "numpy": likewise, as in WECHSEL's package; "mean": the mean of the source's rows. The bias of filled rows is the
    mean of the source's bias. ``device``: where the blocks of a mixing are. The blocks are consumed. If the method
    factorizes, ``source`` must have a tied output embedding.
    """
    if isinstance(made, Mixing) and made.factors:
        rows, projection = made.factors.rows, made.factors.projection
        projection = source[PROJECTION] @ projection if PROJECTION in source else projection
        source = {**source, EMBEDDING: rows, OUTPUT_EMBEDDING: rows, PROJECTION: projection}
    matrices = {EMBEDDING: source[EMBEDDING], OUTPUT_BIAS: source[OUTPUT_BIAS][:, None]}
    if source[OUTPUT_EMBEDDING] is not source[EMBEDDING]:
        matrices[OUTPUT_EMBEDDING] = source[OUTPUT_EMBEDDING]
    count, kept = len(made.copied), torch.from_numpy(np.flatnonzero(made.copied >= 0))
    target = {name: matrix.new_empty(count, matrix.shape[1]) for name, matrix in matrices.items()}
    for name, matrix in matrices.items():
        for some in torch.split(kept, MOMENT_ROWS):
            target[name][some] = matrix[made.copied[some]]
    origins = _copies(made.copied)
    if isinstance(made, Mixing):
        weights = _mix(matrices, made, target, origins, device)
        lacking = dict.fromkeys(matrices, origins.kind == FILLED)
    else:
        weights = csr_matrix((count, len(source[EMBEDDING])), dtype=np.float32)
        lacking = _learn(made, target, origins)
    generator = torch.Generator().manual_seed(seed)
    for name, matrix in matrices.items():
        filled = torch.from_numpy(np.flatnonzero(lacking[name]))
        if not len(filled):
            continue
        if fill == "mean" or name == OUTPUT_BIAS:
            target[name][filled] = matrix.mean(0)
        elif fill == "numpy":
            target[name][filled] = numpy_rows(matrix, lacking[name], seed)
        else:
            target[name][filled] = normal_rows(matrix, len(filled), generator)
    tensors = {**source, **target, OUTPUT_BIAS: target[OUTPUT_BIAS][:, 0]}
    tensors[OUTPUT_EMBEDDING] = target.get(OUTPUT_EMBEDDING, target[EMBEDDING])
    return Transfer(tensors, origins, weights, isinstance(made, Rows) or made.convex)


def normal_rows(matrix: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` rows drawn from N(mean, standard deviation) of the columns of ``matrix``; (count, width).

    They are drawn one by one, so that they are equal to those of the authors' package.
    """
    rows = matrix.new_empty(count, matrix.shape[1])
    mean, deviation = _moments(matrix)
    for row in rows:
        row.copy_(torch.normal(mean, deviation, generator=generator))
    return rows


def numpy_rows(matrix: Tensor, wanted: np.ndarray, seed: int) -> Tensor:
    """A row for each id that is ``wanted``, (ids,), bool, drawn as in WECHSEL's package; (wanted ids, width).

    There NumPy draws a row for every id of the target, and the deviation is that of the source's rows as a population.
    """
    draw = np.random.RandomState(seed)
    mean, deviation = (moment.numpy() for moment in _moments(matrix))
    deviation = deviation * np.sqrt((len(matrix) - 1) / len(matrix))
    rows = matrix.new_empty(int(wanted.sum()), matrix.shape[1])
    done = 0
    for start in range(0, len(wanted), MOMENT_ROWS):
        part = wanted[start : start + MOMENT_ROWS]
        drawn = draw.normal(mean, deviation, (len(part), matrix.shape[1]))[part]
        rows[done : done + len(drawn)] = torch.from_numpy(drawn)
        done += len(drawn)
    return rows


def _moments(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the columns. torch.std_mean takes twenty times as long for many rows."""
    mean = matrix.mean(0)
    squares = torch.zeros_like(mean, dtype=torch.float64)
    for part in torch.split(matrix, MOMENT_ROWS):
        squares += (part - mean).square().sum(0)
    return mean, (squares / (len(matrix) - 1)).sqrt().to(matrix.dtype)


def _copies(copied: np.ndarray) -> Origins:
    """The origins in which every token that is not copied is filled."""
    anchors = np.full((len(copied), LISTED), -1, np.int32)
    anchors[:, 0] = copied
    weights = np.zeros((len(copied), LISTED), np.float32)
    weights[:, 0] = copied >= 0
    kind = np.where(copied >= 0, COPIED, FILLED).astype(np.int8)
    return Origins(kind, np.zeros(len(copied), np.int32), np.full(len(copied), np.nan, np.float32), anchors, weights)


def _learn(made: Rows, target: Mapping[str, Tensor], origins: Origins) -> dict[str, np.ndarray]:
    """Put learned rows into ``target`` and ``origins``. Returns for each matrix which rows remain to be filled."""
    origins.kind[made.ids] = LEARNED
    bias = None if made.bias is None else made.bias[:, None]
    parts = {EMBEDDING: made.embedding, OUTPUT_EMBEDDING: made.output_embedding, OUTPUT_BIAS: bias}
    lacking = {}
    for name, matrix in target.items():
        lacking[name] = origins.kind != COPIED
        if (part := parts[name]) is not None:
            matrix[torch.from_numpy(made.ids)] = part
            lacking[name] = origins.kind == FILLED
    return lacking


def _mix(
    matrices: Mapping[str, Tensor], mixing: Mixing, target: Mapping[str, Tensor], origins: Origins, device: str
) -> csr_matrix | None:
    """Put the mixed rows into ``target`` and ``origins``. Returns ``Transfer.weights``."""
    ids = torch.from_numpy(mixing.anchors)
    anchor_rows = cache(lambda name: matrices[name][ids].to(device))
    parts: tuple[list[np.ndarray], list[np.ndarray]] | None = ([], [])
    for block in mixing.blocks:
        for name, matrix in matrices.items():
            weights = block.weights if mixing.convex or name != OUTPUT_BIAS else shares(block.weights)
            if weights.layout == torch.sparse_csr and weights.device == matrix.device:
                sources = ids[weights.col_indices()]
                weights = sparse_weights(weights.crow_indices(), sources, weights.values(), len(matrix))
                target[name][block.rows] = weights @ matrix
            else:
                target[name][block.rows] = (weights @ anchor_rows(name)).cpu()
        _note(origins, block, mixing.anchors)
        if parts is None or origins.support.sum(dtype=np.int64) > LARGEST_KEPT:
            parts = None
        else:
            _, columns, values = sparse_parts(block.weights)
            parts[0].append(mixing.anchors[columns].astype(np.int32))
            parts[1].append(values)
    return None if parts is None else _whole(parts, origins.support, len(matrices[EMBEDDING]))


def _note(origins: Origins, block: Block, anchors: np.ndarray) -> None:
    """Put the supports, the similarities and the LISTED largest weights of a block into ``origins``."""
    origins.kind[block.rows] = MIXED
    origins.support[block.rows] = supports(block.weights)
    if block.similarity is not None:
        origins.similarity[block.rows] = block.similarity.cpu().numpy()
    offsets, columns, values = sparse_parts(without_small(block.weights, LISTED))
    row, ids = np.repeat(np.arange(len(block.rows)), np.diff(offsets)), anchors[columns]
    order = np.lexsort((ids, -np.abs(values), row))
    place = np.arange(len(values)) - offsets[row]
    first = place < LISTED
    into = (block.rows[row[first]], place[first])
    origins.anchors[into] = ids[order][first]
    origins.weights[into] = values[order][first]


def _whole(parts: tuple[list[np.ndarray], list[np.ndarray]], support: np.ndarray, width: int) -> csr_matrix:
    """The matrix of all blocks, whose rows are in order. ``parts``: columns and values of each block, removed here."""
    joined = []
    for arrays, kind in zip(parts, (np.int32, np.float32), strict=True):
        joined.append(np.concatenate([np.empty(0, kind), *arrays]))
        arrays.clear()  # before the others are joined, which saves memory
    columns, values = joined
    offsets = np.concatenate([[0], np.cumsum(support, dtype=np.int64)])
    matrix = csr_matrix((values, columns, offsets), (len(support), width))
    matrix.sort_indices()
    return matrix
