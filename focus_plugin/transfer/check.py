"""Checks the result of a method before it is applied to a model. Errors name the method."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from focus_plugin.errors import FocusError
from focus_plugin.mixing.mixing import SUM_TOLERANCE, Block, Factors, Mixing, sparse_parts, supports
from focus_plugin.mixing.rows import Rows

MUCH = 10


def checked(method: str, made: object, source: int, target: int, width: int) -> Mixing | Rows:
    """``made`` itself. The blocks of a mixing are checked when they are iterated over.

    ``source``, ``target``: numbers of tokens; ``width``: the length of a row. Raises FocusError for a result that is
    neither Mixing nor Rows, for shapes and ids that do not fit, for NaN and infinity, and for weights that are not
    convex although the mixing declares them so.
    """
    if not isinstance(made, Mixing | Rows):
        raise _fault(method, f"returned {type(made).__name__}; expected Mixing or Rows")
    copied = made.copied
    if copied.shape != (target,) or not np.issubdtype(copied.dtype, np.integer):
        raise _fault(method, f"gave copied as {copied.dtype} of shape {copied.shape}; expected integers, ({target},)")
    if not _within(copied, -1, source):
        raise _fault(method, "copies rows that the source does not have")
    if isinstance(made, Rows):
        _check_rows(method, made, width)
        return made
    if not _within(made.anchors, 0, source) or len(np.unique(made.anchors)) != len(made.anchors):
        raise _fault(method, "gave an anchor that is not an id of the source, or gave one twice")
    if made.factors:
        _check_factors(method, made.factors, (source, width))
    return replace(made, blocks=_checked_blocks(method, made))


def long_rows(method: str, embedding: Tensor, made: np.ndarray, source: Tensor) -> Iterator[str]:
    """A sentence if some of the rows of ``embedding`` at the ids ``made`` are much longer than those of ``source``.

    Both are of shape (tokens, width). That happens if weights of both signs nearly cancel each other, and are then
    divided by their small sum.
    """
    longest = float(torch.linalg.vector_norm(source, dim=1).max())
    lengths = torch.linalg.vector_norm(embedding, dim=1)[torch.from_numpy(made)]
    if count := int((lengths > MUCH * longest).sum()):
        yield (
            f"Warning: the rows of {count:,} tokens by {method} are more than {MUCH} times as long as the longest row "
            f"of the source, the longest {float(lengths.max()) / longest:,.0f} times. Such an encoder is hardly of "
            "use; try other auxiliary embeddings, or another method."
        )


def _check_factors(method: str, factors: Factors, embedding: tuple[int, int]) -> None:
    parts = {"rows": factors.rows, "projection": factors.projection}
    count = factors.rows.shape[-1]
    if [part.shape for part in parts.values()] != [(length, count) for length in embedding]:
        shapes = " and ".join(f"{name} of shape {tuple(part.shape)}" for name, part in parts.items())
        raise _fault(method, f"gave factors with {shapes}; they do not multiply to the shape {embedding}")
    for name, part in parts.items():
        if part.dtype != torch.float32 or not torch.isfinite(part).all():
            raise _fault(method, f"gave the {name} of factors as {part.dtype} or with NaN or infinity")


def _check_rows(method: str, made: Rows, width: int) -> None:
    if not _within(made.ids, 0, len(made.copied)) or len(np.unique(made.ids)) != len(made.ids):
        raise _fault(method, "gave a row for an id that is not a target token, or gave one twice")
    if (made.copied[made.ids] >= 0).any():
        raise _fault(method, "gave rows for tokens that it also copies")
    rows, vector = (len(made.ids), width), (len(made.ids),)
    parts = {"embedding": rows, "output_embedding": rows, "bias": vector}
    for name, shape in parts.items():
        part = getattr(made, name)
        if part is None and name != "embedding":
            continue
        if part.dtype != torch.float32 or part.shape != shape:
            raise _fault(method, f"gave {name} as {part.dtype} of shape {tuple(part.shape)}; expected float32, {shape}")
        if not torch.isfinite(part).all():
            raise _fault(method, f"gave {name} with NaN or infinity")


def _checked_blocks(method: str, made: Mixing) -> Iterator[Block]:
    last = -1
    for block in made.blocks:
        rows = block.rows
        if not _within(rows, 0, len(made.copied)) or (np.diff(rows, prepend=last) <= 0).any():
            raise _fault(method, "gave blocks whose rows are not ids of the target in ascending order")
        if (made.copied[rows] >= 0).any():
            raise _fault(method, "mixes tokens that it also copies")
        if block.weights.shape != (len(rows), len(made.anchors)) or block.weights.dtype != torch.float32:
            found = f"{block.weights.dtype} of shape {tuple(block.weights.shape)}"
            raise _fault(method, f"gave weights as {found}; expected float32, {(len(rows), len(made.anchors))}")
        _check_weights(method, block, made.convex)
        yield block
        last = int(rows[-1]) if len(rows) else last


def _check_weights(method: str, block: Block, convex: bool) -> None:
    sparse = block.weights.layout == torch.sparse_csr
    values = block.weights.values() if sparse else block.weights
    if not torch.isfinite(values).all():
        raise _fault(method, "gave weights with NaN or infinity")
    if not supports(block.weights).all():
        raise _fault(method, "gave a mixture without weights; leave the token out, so that it is filled")
    if convex and ((values < 0).any() or (np.abs(_sums(block.weights) - 1) > SUM_TOLERANCE).any()):
        raise _fault(method, "gave weights that are negative or do not sum to 1; such a Mixing has convex=False")


def _sums(weights: Tensor) -> np.ndarray:
    """The sums of the rows, none of which is empty; shape (n,)."""
    if weights.layout != torch.sparse_csr:
        return weights.sum(1, dtype=torch.float64).cpu().numpy()
    offsets, _, values = sparse_parts(weights)
    return np.add.reduceat(values, offsets[:-1], dtype=np.float64) if len(values) else np.ones(0)


def _within(ids: np.ndarray, low: int, high: int) -> bool:
    return np.issubdtype(ids.dtype, np.integer) and bool(((ids >= low) & (ids < high)).all())


def _fault(method: str, what: str) -> FocusError:
    return FocusError(f"The method {method!r} {what}.")
