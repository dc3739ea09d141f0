"""New rows trained by masked language modelling, with all other weights frozen.

The baseline of the methods that learn rows through the model: it needs no idea but gradient descent. The encoder reads
text in the target's tokens and predicts masked ones, and gradients reach only the rows of new tokens and the output
bias. It starts from the rows of another method.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.learning.options import LEARNING_NEEDS, RowTrainingOptions
from focus_plugin.mixing.declaration import Given, Method

if TYPE_CHECKING:
    from torch import Tensor

    from focus_plugin.mixing.rows import Rows


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
    from focus_plugin.learning.text import drawn_ids, masked, text_samples
    from focus_plugin.learning.training import SAMPLES_PER_UPDATE, train_rows
    from focus_plugin.transfer.calibration import SAMPLE_LENGTH

    assert given.model is not None
    options, config = given.options, given.model.config
    ids = drawn_ids(given)
    samples = text_samples(ids, given.target, min(SAMPLE_LENGTH, config.max_positions))
    encoder = row_encoder(given, options.start, ids)
    draw = torch.Generator().manual_seed(given.seed)

    def loss(update: int) -> "Tensor":
        """The masked-LM loss on the samples of an update; after the last sample, the first one follows."""
        places = np.arange(update * SAMPLES_PER_UPDATE, (update + 1) * SAMPLES_PER_UPDATE) % len(samples)
        original = samples[torch.from_numpy(places)]
        read, predicted = masked(original, given.target, draw)
        tensors = encoder.tensors()
        states = hidden_states(config, tensors, read.to(given.device))
        return prediction_loss(tensors, states[predicted], original[predicted].to(given.device))

    train_rows(given, encoder, max(1, options.budget // (SAMPLES_PER_UPDATE * samples.shape[1])), loss, options.row_lr)
    return encoder.result(given.model.tensors[OUTPUT_BIAS])


METHOD = Method(
    name="newrows",
    summary="New tokens by a short masked-LM training in which only their rows change.",
    make=newrows,
    options=NewRowsOptions,
    needs=LEARNING_NEEDS,
)
