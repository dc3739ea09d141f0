"""Computes the outputs of a large batch with the memory that a small one needs for its gradients."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# From ids (batch, length), padded on the right, and lengths (batch,) to outputs by name, each (batch, ...).
EncodeRows = Callable[[Tensor, Tensor], Mapping[str, Tensor]]


def in_mini_batches(run: EncodeRows, ids: Tensor, lengths: Tensor, size: int) -> Mapping[str, Tensor]:
    """The outputs of ``run`` for all rows, which is called with at most ``size`` rows of similar length at once.

    Of more rows, only the outputs are in memory until the backward pass. This computes each mini-batch again, with the
    same random numbers, when the loss of the whole batch has given the gradients of its outputs. So the gradients are
    those of the whole batch. Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup;
    the Cached losses of sentence-transformers. The outputs must not depend on padding or on the other rows.
    """
    if len(ids) <= size:
        return run(ids, lengths)
    order = lengths.argsort(stable=True)
    parts: list[Mapping[str, Tensor]] = [
        checkpoint(run, ids[rows, : int(lengths[rows].max())], lengths[rows], use_reentrant=False)
        for rows in torch.split(order, size)
    ]
    places = order.argsort()
    return {name: torch.cat([part[name] for part in parts])[places] for name in parts[0]}
