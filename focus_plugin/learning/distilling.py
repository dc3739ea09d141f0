"""The losses by which an encoder with new tokens, the student, learns from the source encoder, its teacher.

Both read the same text, cut into their own tokens. Where the student predicts a token, the teacher reads masks for all
tokens of the span, so that it does not know more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import kl_div, linear, log_softmax

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.forward import head_states, layer_states
from focus_plugin.checkpoint.names import OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.learning.pairs import NOWHERE, Cut, span_sums, span_tokens


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Samples of text as one of the two encoders reads them.

    text: their tokens. read: what it reads in place of them, with masks; (samples, length). middle, last: its states at
    a middle layer and at the last, (samples, length, width).
    """

    text: Cut
    read: Tensor
    middle: Tensor
    last: Tensor

    @classmethod
    def of(cls, config: EncoderConfig, tensors: Mapping[str, Tensor], text: Cut, read: Tensor) -> "Reading":
        """The states of the encoder with the weights ``tensors``; no token attends to padding."""
        padding = text.spans == NOWHERE
        padding[:, 0] = False
        layers = list(layer_states(config, tensors, read, padding))
        return cls(text=text, read=read, middle=layers[config.layers // 2], last=layers[-1])


def hidden_from_teacher(old: Cut, new: Cut, predicted: Tensor, mask: int) -> Tensor:
    """What the teacher reads: ``old.ids``, with ``mask`` in spans in which the student predicts a token.

    ``predicted``: (samples, length of ``new``), bool.
    """
    hidden = span_tokens(new.spans, predicted) > 0
    within = old.spans != NOWHERE
    return old.ids.masked_fill(within & hidden.gather(1, old.spans.clamp(min=0)), mask)


def middle_loss(teacher: Reading, student: Reading, predicted: Tensor) -> Tensor:
    """The mean squared difference of the mean states of spans in which the student predicts nothing.

    Each channel is divided by its standard deviation over the teacher's spans, because a few channels are much larger
    than the others.
    """
    old, new = teacher.text.spans, student.text.spans
    tokens = span_tokens(old, old != NOWHERE), span_tokens(new, new != NOWHERE)
    compared = (tokens[0] > 0) & (tokens[1] > 0) & (span_tokens(new, predicted) == 0)
    wanted, found = (
        span_sums(reading.middle, reading.text.spans)[compared] / count[compared][:, None]
        for reading, count in zip((teacher, student), tokens, strict=True)
    )
    return ((found - wanted).square().mean(0) / wanted.var(0, correction=0).clamp(min=1e-12)).mean()


def word_loss(
    teacher: Reading, student: Reading, predicted: Tensor, weights: tuple[Mapping[str, Tensor], ...], copied: Tensor
) -> Tensor:
    """The divergence of the student's predictions from the teacher's, over the tokens that both vocabularies have.

    It is the mean over predicted tokens that overlap and are one token in both texts; zero if there are none.
    ``weights``: the teacher's and the student's. ``copied``: (target,), the source's id of each token or -1; special
    tokens have -1. The output bias of the student gets no gradient.
    """
    old, new = teacher.text, student.text
    alone = (span_tokens(old.spans, old.spans != NOWHERE) == 1) & (span_tokens(new.spans, new.spans != NOWHERE) == 1)
    places = torch.nonzero(predicted & (copied[new.ids] >= 0) & alone.gather(1, new.spans.clamp(min=0)))
    samples, spans = places[:, 0], new.spans[places[:, 0], places[:, 1]]
    old_places = (old.spans[samples] == spans[:, None]).int().argmax(1)
    if not len(places):
        return student.last.new_zeros(())
    shared = torch.nonzero(copied >= 0)[:, 0]
    predictions = [
        log_softmax(
            linear(head_states(tensors, states), tensors[OUTPUT_EMBEDDING][ids], tensors[OUTPUT_BIAS].detach()[ids]),
            1,
        )
        for tensors, states, ids in (
            (weights[0], teacher.last[samples, old_places], copied[shared]),
            (weights[1], student.last[samples, places[:, 1]], shared),
        )
    ]
    return kl_div(predictions[1], predictions[0], reduction="batchmean", log_target=True)
