"""A checkpoint under a new vocabulary: the mixing matrix applied to every tensor that has a row a token."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.methods.focus import focus
from focus_plugin.methods.mixing import Mixing
from focus_plugin.methods.random import random
from focus_plugin.vocabulary.vocabulary import Vocabulary

METHODS = ("focus", "random")


@dataclass(frozen=True)
class Counts:
    """How the rows of the target came to be: copied from the overlap, mixed, or filled at random; mean_support is
    the mean number of source tokens in a mixture."""

    overlap: int
    mixed: int
    random: int
    mean_support: float


def make_mixing(
    method: str, source: Vocabulary, target: Vocabulary, auxiliary: np.ndarray | None, progress: Progress = silent
) -> Mixing:
    """The mixing matrix by the name of its method, one of METHODS; see there for the arguments."""
    if method == "random":
        return random(source, target)
    if auxiliary is None:
        raise FocusError("FOCUS needs auxiliary vectors of the target tokens: give a corpus, or a file of vectors.")
    return focus(source, target, auxiliary, progress)


def apply_mixing(source: Mapping[str, Tensor], mixing: Mixing, seed: int) -> tuple[dict[str, Tensor], Counts]:
    """Apply ``mixing`` to the tensors of a checkpoint; tensors that have no row a token are passed on as they are.

    Rows without a mixture are drawn from a normal distribution with the mean and standard deviation of each
    source dimension (section 3.3 of the FOCUS paper); their bias is the source's mean. Consumes ``mixing``.
    """
    rows = {EMBEDDING: source[EMBEDDING].numpy(), OUTPUT_BIAS: source[OUTPUT_BIAS].numpy()[:, None]}
    if source[OUTPUT_EMBEDDING] is not source[EMBEDDING]:
        rows[OUTPUT_EMBEDDING] = source[OUTPUT_EMBEDDING].numpy()
    kept = mixing.copied >= 0
    target = {}
    for name, matrix in rows.items():
        target[name] = np.empty((len(kept), matrix.shape[1]), dtype=np.float32)
        target[name][kept] = matrix[mixing.copied[kept]]
    filled, support = ~kept, 0
    for block in mixing.blocks:
        for name, matrix in rows.items():
            target[name][block.rows] = block.weights @ matrix
        filled[block.rows] = False
        support += block.weights.nnz
    draw = np.random.default_rng(seed)
    for name, matrix in rows.items():
        target[name][filled] = matrix.mean(axis=0) if name == OUTPUT_BIAS else _normal(draw, matrix, filled.sum())
    mixed = int((~kept).sum() - filled.sum())
    tensors = {name: torch.from_numpy(value) for name, value in target.items()}
    tensors[OUTPUT_BIAS] = tensors[OUTPUT_BIAS][:, 0]
    tensors.setdefault(OUTPUT_EMBEDDING, tensors[EMBEDDING])
    counts = Counts(int(kept.sum()), mixed, int(filled.sum()), support / max(mixed, 1))
    return {name: tensors.get(name, value) for name, value in source.items()}, counts


def _normal(draw: np.random.Generator, matrix: np.ndarray, count: int) -> np.ndarray:
    deviation, mean = torch.std_mean(torch.from_numpy(matrix), dim=0)  # unlike numpy's, without a copy of the matrix
    return draw.normal(mean.numpy(), deviation.numpy(), (count, matrix.shape[1])).astype(np.float32)


def check_finite(path: Path, checkpoint: Checkpoint) -> None:
    """Raise FocusError if a tensor that is about to be mixed holds NaN or infinity."""
    for name in (EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS):
        if not torch.isfinite(checkpoint.tensors[name]).all():
            raise FocusError(f"{path}: {name} holds NaN or infinity; the checkpoint is damaged.")


def initialize(
    source: str | Path, target: Vocabulary, auxiliary: str | Path | None, method: str, seed: int
) -> dict[str, Tensor]:
    """The weights of ``source`` under the vocabulary ``target``, under fairseq's names: what the plugin builds from.

    ``auxiliary``: a file of vectors that ``load_vectors`` reads. Raises FocusError.
    """
    checkpoint = read_checkpoint(source)
    check_finite(Path(source), checkpoint)
    vectors = load_vectors(auxiliary, target) if auxiliary else None
    return apply_mixing(checkpoint.tensors, make_mixing(method, checkpoint.vocabulary, target, vectors), seed)[0]
