"""New rows trained by masked language modelling, with all other weights frozen.

The baseline of the methods that learn rows through the model: it needs no idea but gradient descent. The encoder reads
text in the target's tokens and predicts masked ones, and gradients reach only the rows of new tokens and the output
bias. It starts from the rows of another method.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.learning.options import RowTrainingOptions
from focus_plugin.mixing.declaration import Given, Method, Need

if TYPE_CHECKING:
    from torch import Tensor

    from focus_plugin.mixing.rows import Rows

TEXT = 1 << 20  # tokens of the text that are encoded, at most
LENGTH, BATCH = 128, 8  # of the samples that the encoder reads


@dataclass(frozen=True, kw_only=True)
class NewRowsOptions(RowTrainingOptions):
    """The options of the training of new rows."""


def newrows(given: Given) -> "Rows":
    """The rows of new tokens after a short masked-LM training of ``budget`` tokens."""
    import numpy as np
    import torch

    from focus_plugin.checkpoint.forward import hidden_states
    from focus_plugin.checkpoint.names import OUTPUT_BIAS
    from focus_plugin.learning.encoder import prediction_loss
    from focus_plugin.learning.start import row_encoder
    from focus_plugin.learning.text import drawn_lines, masked, text_samples, token_ids
    from focus_plugin.learning.training import train_rows

    assert given.text is not None
    assert given.target_tokenizer is not None
    assert given.model is not None
    options, config = given.options, given.model.config
    ids = token_ids(
        drawn_lines(given.text, given.seed), given.target_tokenizer, given.target, max(TEXT, options.budget)
    )
    samples = text_samples(ids, given.target, min(LENGTH, config.max_positions))
    encoder = row_encoder(given, options.start, ids)
    draw = torch.Generator().manual_seed(given.seed)

    def loss(update: int) -> "Tensor":
        places = np.arange(update * BATCH, (update + 1) * BATCH) % len(samples)
        original = samples[torch.from_numpy(places)]
        read, predicted = masked(original, given.target, draw)
        tensors = encoder.tensors()
        states = hidden_states(config, tensors, read.to(given.device))
        return prediction_loss(tensors, states[predicted], original[predicted].to(given.device))

    train_rows(given, encoder, max(1, options.budget // (BATCH * samples.shape[1])), loss, options.row_lr)
    return encoder.result(given.model.tensors[OUTPUT_BIAS])


METHOD = Method(
    name="newrows",
    summary="New tokens by a short masked-LM training in which only their rows change.",
    make=newrows,
    options=NewRowsOptions,
    needs=(
        Need.MODEL,
        Need.EMBEDDING,
        Need.VECTORS,
        Need.SOURCE_TOKENIZER,
        Need.TARGET_TOKENIZER,
        Need.TEXT,
    ),
)
