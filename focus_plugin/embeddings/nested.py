"""The losses of embeddings whose first numbers, or whose lower layers, are embeddings too."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

TEMPERATURE = 0.3

# A loss of the embeddings of the first texts of all pairs, of the second texts, and so on.
EmbeddingLoss = Callable[[Sequence[Tensor]], Tensor]


def nested_dimensions(loss: EmbeddingLoss, dimensions: Sequence[int]) -> EmbeddingLoss:
    """The sum of ``loss`` of the whole embeddings and of their first numbers, as many as each of ``dimensions``.

    Kusupati et al. 2022, Matryoshka Representation Learning, equation 1 with weights of 1; MatryoshkaLoss of
    sentence-transformers.
    """

    def total(embeddings: Sequence[Tensor]) -> Tensor:
        parts = [loss([embedding[:, :size] for embedding in embeddings]) for size in dimensions]
        return sum(parts, loss(embeddings))

    return total


def with_layers(loss: EmbeddingLoss, last: Sequence[Tensor], lower: Sequence[Sequence[Tensor]]) -> Tensor:
    """``loss`` of the embeddings of the last layer, plus that of lower layers and their distance to the last.

    ``last``: the embeddings of the last layer, as ``loss`` takes them. ``lower``: the same of each lower layer. The
    losses of the lower layers are averaged. Their distances, the Kullback-Leibler divergence of the softmax of the
    embeddings, are added; they have no gradient for the last layer. Li et al. 2024, 2D Matryoshka Sentence Embeddings;
    AdaptiveLayerLoss of sentence-transformers, and with ``nested_dimensions`` its Matryoshka2dLoss.
    """
    total = loss(last)
    target = softmax(torch.cat(list(last)).detach() / TEMPERATURE, -1)
    for layer in lower:
        found = log_softmax(torch.cat(list(layer)) / TEMPERATURE, -1)
        total = total + loss(layer) / len(lower) + TEMPERATURE * kl_div(found, target, reduction="batchmean")
    return total
