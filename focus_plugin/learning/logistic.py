"""Multinomial logistic regression: rows that predict tokens from states of the encoder, which are computed once."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.learning.encoder import RowEncoder
from focus_plugin.learning.training import reduced_products, train_rows
from focus_plugin.mixing.declaration import Given
from focus_plugin.transfer.calibration import wanted_shares
from focus_plugin.vocabulary.vocabulary import Vocabulary

STATES_AT_ONCE, EPOCHS = 512, 2
ROW_LR = 0.05  # see RowTrainingOptions
DEVIATION = 0.3  # that is expected of a row's entries from those at the start, as a share of the size of an entry


def fit_predictions(given: Given, encoder: RowEncoder, states: Tensor, tokens: Tensor) -> None:
    """Change the output embeddings and the bias of ``encoder`` so that they predict ``tokens`` from ``states``.

    ``states``: (n, length of a row), the head's states. ``tokens``: (n,), target ids. The loss is the cross-entropy of
    the tokens and, as if rows were drawn from a normal distribution around those at the start, the squared changes of
    the rows. ``given.progress`` is told of all target tokens.
    """
    draw, count = torch.Generator().manual_seed(given.seed), len(states)
    size = min(STATES_AT_ONCE, count)
    batches, order = count // size, torch.empty(0)
    rows = encoder.rows if encoder.output_rows is None else encoder.output_rows
    start = rows.detach().clone()
    variance = DEVIATION**2 * encoder.frozen[EMBEDDING].square().mean()

    def loss(update: int) -> Tensor:
        """The loss on a batch of states, which are in a new order in each epoch."""
        nonlocal order
        if update % batches == 0:
            order = torch.randperm(count, generator=draw)
        places = order[update % batches * size :][:size]
        tensors = encoder.tensors()
        logits = linear(states[places].to(given.device), tensors[OUTPUT_EMBEDDING], tensors[OUTPUT_BIAS])
        change = (rows - start).square().sum() / (2 * variance * count)
        return cross_entropy(logits, tokens[places].to(given.device)) + change

    train_rows(given, encoder, EPOCHS * batches, loss, ROW_LR)


@torch.no_grad()
def bias_for_states(tensors: dict[str, Tensor], states: Tensor, vocabulary: Vocabulary, text: np.ndarray) -> Tensor:
    """The output bias with which the states predict each token as often as it occurs in ``text``; (vocabulary,).

    See ``transfer/calibration.py``. ``states``: (n, length of a row). ``text``: token ids.
    """
    predicted = torch.zeros(len(vocabulary), dtype=torch.float64)
    with reduced_products():
        for batch in torch.split(states, STATES_AT_ONCE):
            logits = linear(batch, tensors[OUTPUT_EMBEDDING], tensors[OUTPUT_BIAS])
            predicted += torch.softmax(logits, 1).sum(0, dtype=torch.float64)
    predicted = predicted.clamp(min=torch.finfo(torch.float32).tiny)
    change = torch.log(wanted_shares(predicted, vocabulary, text)) - torch.log(predicted)
    return torch.where(torch.from_numpy(vocabulary.special), 0, change).float() + tensors[OUTPUT_BIAS]
