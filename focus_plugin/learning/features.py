"""What a regression knows of a target token: features that overlapping and new tokens have alike."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from focus_plugin.learning.contexts import Contexts
from focus_plugin.mixing.declaration import Given

STATES = 4  # a mean of so many states is moved halfway to that of all tokens


def token_features(given: Given, seen: Contexts, divided: list[list[int]], counts: np.ndarray) -> Iterator[Tensor]:
    """The features besides the FOCUS rows, each (target, any). No feature of an overlapping token uses its own row.

    ``divided``: see ``contexts.divisions``. ``counts``: (target,), how often each token occurs in the text.
    """
    assert given.vectors is not None
    assert given.embedding is not None
    masked = torch.zeros(len(given.target), seen.states.shape[1]).index_add_(0, seen.tokens, seen.states)
    yield shrunk_means(masked, torch.bincount(seen.tokens, minlength=len(given.target)))
    yield shrunk_means(seen.read, seen.reads)
    rows, mean = given.embedding, given.embedding.mean(0)
    yield torch.stack([rows[pieces].mean(0) if len(pieces) > 1 else mean for pieces in divided])
    yield normalize(torch.from_numpy(given.vectors.vectors))
    yield torch.from_numpy(counts)[:, None].log1p()


def shrunk_means(sums: Tensor, counts: Tensor) -> Tensor:
    """The means of states, with the mean of all subtracted and moved to zero where there are few; (target, width).

    ``sums``: (target, width). ``counts``: (target,), the number of states in each sum.
    """
    mean = sums.sum(0) / counts.sum().clamp(min=1)
    return (sums - counts[:, None] * mean) / (counts + STATES)[:, None]
