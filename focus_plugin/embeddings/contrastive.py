"""The loss of pairs with in-batch negatives."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def contrastive(embeddings: Sequence[Tensor], scale: float) -> Tensor:
    """The mean cross-entropy of finding the second text of each pair among all second texts and negatives of a batch.

    ``embeddings``: of the first texts (pairs, width), of the second texts, and of any negatives.
    The logits are cosines times ``scale``. Henderson et al. 2017, Efficient Natural Language Response Suggestion for
    Smart Reply; MultipleNegativesRankingLoss of sentence-transformers.
    """
    first, *others = embeddings
    cosines = normalize(first, dim=-1) @ normalize(torch.cat(others), dim=-1).T
    return cross_entropy(scale * cosines, torch.arange(len(first), device=first.device))
