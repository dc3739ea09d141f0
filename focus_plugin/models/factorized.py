"""A factorized embedding: short rows, and a projection to the width that all tokens share.

The masked-LM head uses the same two matrices. Liu et al., OFA, NAACL 2024 (Findings), section 3.1.
"""

from fairseq.models.roberta import RobertaModel
from fairseq.models.roberta.model import RobertaLMHead
from torch import Tensor, nn
from torch.nn.functional import linear

_DEVIATION = 0.02  # of initial weights, as in BERT


class FactorizedEmbedding(nn.Embedding):
    """An embedding whose rows, (tokens, factors), are multiplied with a projection to the width."""

    def __init__(self, rows: int, factors: int, width: int, padding: int) -> None:
        super().__init__(rows, factors, padding)
        self.projection = nn.Linear(factors, width, bias=False)
        for weight in (self.weight, self.projection.weight):
            nn.init.normal_(weight, std=_DEVIATION)

    def forward(self, ids: Tensor) -> Tensor:
        """The embeddings of ``ids``, with another dimension of the width."""
        embedded: Tensor = self.projection(super().forward(ids))
        return embedded


class FactorizedHead(RobertaLMHead):
    """fairseq's masked-LM head with a factorized output embedding, which is that of the input."""

    def forward(self, features: Tensor, masked_tokens: Tensor | None = None, **_: object) -> Tensor:
        """The logits of ``features``, (..., width), or of those at ``masked_tokens``; see fairseq."""
        if masked_tokens is not None:
            features = features[masked_tokens, :]
        return linear(output_states(self, features), self.weight, self.bias)


def output_states(head: RobertaLMHead, features: Tensor) -> Tensor:
    """What ``head`` multiplies with its output embedding, from the encoder's ``features``, (..., width)."""
    states: Tensor = head.layer_norm(head.activation_fn(head.dense(features)))
    if not isinstance(head, FactorizedHead):
        return states
    [embedding] = head.embedding
    projected: Tensor = states @ embedding.projection.weight
    return projected


def factorize(model: RobertaModel, factors: int) -> None:
    """Give ``model``, whose output embedding is tied, a new factorized embedding."""
    encoder, head = model.encoder.sentence_encoder, model.encoder.lm_head
    width, rows = model.args.encoder_embed_dim, len(encoder.embed_tokens.weight)
    encoder.embed_tokens = FactorizedEmbedding(rows, factors, width, encoder.padding_idx)
    head.__class__ = FactorizedHead
    head.weight = encoder.embed_tokens.weight
    head.embedding = (encoder.embed_tokens,)  # in a tuple, so that its tensors have no second name
