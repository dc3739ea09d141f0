"""New rows trained so that the encoder computes from new tokens what it computes from its old ones.

Token distillation (Dobler, Elliott & de Melo 2025) for masked language models; the paper has causal ones. The
source encoder reads text in its own tokens and is the teacher. The student, the same encoder with the target
vocabulary, reads the same text. Three losses are added: the difference of their states in a middle layer, on average
over each span that both cut at its ends; the divergence of their predictions for masked words that are one token in
both; and the student's masked-LM loss, which alone changes the output bias. Only rows are trained, as in ``newrows``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.learning.options import LEARNING_NEEDS, RowTrainingOptions
from focus_plugin.mixing.declaration import Given, Method

if TYPE_CHECKING:
    from torch import Tensor

    from focus_plugin.mixing.rows import Rows

MIDDLE_WEIGHT, WORD_WEIGHT = 1.0, 1.0  # of the first two losses; that of the third is 1


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(RowTrainingOptions):
    """The options of token distillation."""


def distillation(given: Given) -> "Rows":
    """The rows of new tokens after a training in which both encoders together read ``budget`` tokens."""
    import numpy as np
    import torch

    from focus_plugin.checkpoint.names import OUTPUT_BIAS
    from focus_plugin.learning.distilling import Reading, hidden_from_teacher, middle_loss, word_loss
    from focus_plugin.learning.encoder import prediction_loss
    from focus_plugin.learning.pairs import Cut, paired_samples
    from focus_plugin.learning.start import row_encoder
    from focus_plugin.learning.text import drawn_ids, drawn_text, masked
    from focus_plugin.learning.training import SAMPLES_PER_UPDATE, train_rows
    from focus_plugin.mixing.matching import overlapping
    from focus_plugin.transfer.calibration import SAMPLE_LENGTH
    from focus_plugin.vocabulary.vocabulary import MASK

    assert given.model is not None
    options, config, device = given.options, given.model.config, given.device
    old, new = paired_samples(given, drawn_text(given), SAMPLE_LENGTH, options.budget)
    encoder = row_encoder(given, options.start, drawn_ids(given))
    source = {name: tensor.to(device) for name, tensor in given.model.tensors.items()}
    copied = torch.from_numpy(np.where(given.target.special, -1, overlapping(given))).to(device)
    draw = torch.Generator().manual_seed(given.seed)

    def loss(update: int) -> "Tensor":
        """The sum of the three losses on the samples of an update."""
        part = slice(update * SAMPLES_PER_UPDATE, (update + 1) * SAMPLES_PER_UPDATE)
        old_text, new_text = (Cut(ids=cut.ids[part].to(device), spans=cut.spans[part].to(device)) for cut in (old, new))
        read, predicted = (part.to(device) for part in masked(new.ids[part], given.target, draw))
        hidden = hidden_from_teacher(old_text, new_text, predicted, given.source.ids[MASK])
        with torch.no_grad():
            teacher = Reading.of(config, source, old_text, hidden)
        tensors = encoder.tensors()
        student = Reading.of(config, tensors, new_text, read)
        return (
            MIDDLE_WEIGHT * middle_loss(teacher, student, predicted)
            + WORD_WEIGHT * word_loss(teacher, student, predicted, (source, tensors), copied)
            + prediction_loss(tensors, student.last[predicted], new_text.ids[predicted])
        )

    train_rows(given, encoder, -(-len(new.ids) // SAMPLES_PER_UPDATE), loss, options.row_lr)
    return encoder.result(given.model.tensors[OUTPUT_BIAS])


METHOD = Method(
    name="distillation",
    summary="New tokens by training their rows so that the encoder computes what it computes from its old tokens.",
    paper="Dobler, Elliott & de Melo, Token Distillation, ICLR 2026, https://arxiv.org/abs/2505.20133",
    make=distillation,
    options=DistillationOptions,
    needs=LEARNING_NEEDS,
)
