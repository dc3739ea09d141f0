"""The losses of pairs with a score, their similarity."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss


def cosent(first: Tensor, second: Tensor, scores: Tensor, scale: float) -> Tensor:
    """log(1 + sum of exp(scale * (cosine of pair i - cosine of pair j))) over all i, j with a lower score of i.

    Only the order of the scores matters. ``first``, ``second``: (pairs, width). ``scores``: (pairs,). Su 2022, CoSENT,
    https://kexue.fm/archives/8847; CoSENTLoss of sentence-transformers.
    """
    cosines = scale * cosine_similarity(first, second)
    differences = cosines[:, None] - cosines[None, :]
    lower = scores[:, None] < scores[None, :]
    return torch.logsumexp(torch.cat([cosines.new_zeros(1), differences[lower]]), 0)


def squared_error(first: Tensor, second: Tensor, scores: Tensor) -> Tensor:
    """The mean squared difference between the cosine and the score of each pair.

    ``first``, ``second``: (pairs, width). ``scores``: (pairs,). Reimers and Gurevych 2019, Sentence-BERT, section 3;
    CosineSimilarityLoss of sentence-transformers.
    """
    cosines = cosine_similarity(first, second)
    return mse_loss(cosines, scores.to(cosines.dtype))
