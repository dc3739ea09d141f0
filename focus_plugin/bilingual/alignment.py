"""The alignment term of ALIGN-MLM (Tang, Deshpande & Narasimhan 2022): translations get similar embeddings."""

from collections.abc import Sequence
from itertools import accumulate, chain

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, embedding_bag


class PairRows(nn.Module):
    """The embeddings of the words of pairs: the row of a word's token, or the mean of the rows of its tokens."""

    tokens: Tensor
    places: Tensor
    starts: Tensor

    def __init__(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
        """``pairs``: the token ids of each word and of its translation."""
        super().__init__()
        words = [*(source for source, _ in pairs), *(target for _, target in pairs)]
        tokens, places = torch.unique(torch.tensor(list(chain(*words))), return_inverse=True)
        self.register_buffer("tokens", tokens)
        self.register_buffer("places", places)
        self.register_buffer("starts", torch.tensor([0, *accumulate(map(len, words))][:-1]))

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings of the words and those of their translations, both of shape (pairs, width), float32.

        ``embedding``: shape (tokens, width), in any precision; it gets the gradient of both sides.
        """
        rows = nn.functional.embedding(self.tokens, embedding).float()
        words = embedding_bag(self.places, rows, self.starts, mode="mean")
        source, target = words.chunk(2)
        return source, target


def alignment_loss(source: Tensor, target: Tensor, distance: str, margin: float) -> Tensor:
    """The mean over all pairs of how far a word's embedding is from its translation's; both of shape (pairs, width).

    cosine: minus the cosine, as in the paper (equation 1). margin: how much the cosine is below ``margin``. l2: the
    Euclidean distance, which is in the authors' code as an alternative.
    """
    if distance == "l2":
        distances: Tensor = torch.linalg.vector_norm(source - target, dim=1)
        return distances.mean()
    cosines = cosine_similarity(source, target)
    return (margin - cosines).relu().mean() if distance == "margin" else -cosines.mean()


@torch.inference_mode()
def mean_cosine(embedding: Tensor, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
    """The mean cosine of the embeddings of all pairs; ``embedding``: shape (tokens, width)."""
    return float(cosine_similarity(*PairRows(pairs)(embedding)).mean())
