"""The masked-LM loss of an encoder on a text, computed in float32 and without fairseq."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.forward import head_states, hidden_states
from focus_plugin.checkpoint.names import OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.files import Progress, silent
from focus_plugin.masked_lm.masking import MaskedText
from focus_plugin.vocabulary.vocabulary import BEGIN

PREDICTIONS = 256  # computed at once, since each has one logit for every token of the vocabulary


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedLMLoss:
    """The loss on each sample of a text, in the order of the text.

    sums: float64, shape (samples,), the sum of the losses of a sample's predicted tokens, in nats. predictions: int64,
    shape (samples,), how many they are.
    """

    sums: np.ndarray
    predictions: np.ndarray

    @property
    def nats(self) -> float:
        """The mean loss of a predicted token."""
        return float(self.sums.sum()) / self.predicted

    @property
    def predicted(self) -> int:
        """The number of predicted tokens."""
        return int(self.predictions.sum())


@torch.inference_mode()
def masked_lm_loss(
    checkpoint: Checkpoint,
    text: MaskedText,
    *,
    length: int,
    batch_tokens: int,
    device: str,
    progress: Progress = silent,
) -> MaskedLMLoss:
    """The cross-entropy of the predicted tokens of ``text``, which must have at least one predicted token.

    The encoder reads samples of ``length`` tokens: ``<s>`` and the next ``length`` - 1 tokens of the text, which may
    span several lines, as in fairseq's masked LM by default. ``batch_tokens``: the number of tokens in a batch.
    ``device``: as torch names it. ``progress`` is called with the number of tokens read since the last call.
    """
    tensors = {name: tensor.to(device) for name, tensor in checkpoint.tensors.items()}
    sums, counts = [], []
    for run in _runs(len(text.read), length - 1, batch_tokens // length):
        read, original, predicted = (
            torch.from_numpy(values[run].astype(np.int64)).to(device)
            for values in (text.read, text.original, text.predicted)
        )
        begin = torch.full((len(run), 1), checkpoint.vocabulary.ids[BEGIN], device=device)
        states = hidden_states(checkpoint.config, tensors, torch.cat([begin, read], dim=1))[:, 1:]
        losses = _losses(tensors, states[predicted.bool()], original[predicted.bool()])
        sample = text.predicted[run].nonzero()[0]
        sums.append(np.bincount(sample, losses, minlength=len(run)))
        counts.append(text.predicted[run].sum(axis=1))
        progress(run.size)
    return MaskedLMLoss(sums=np.concatenate(sums), predictions=np.concatenate(counts))


def _runs(tokens: int, length: int, rows: int) -> Iterator[np.ndarray]:
    """Consecutive positions of a text in batches; shape (rows, length), and (1, rest) for the rest of the text."""
    whole = np.arange(tokens // length * length).reshape(-1, length)
    for start in range(0, len(whole), max(1, rows)):
        yield whole[start : start + max(1, rows)]
    if tokens % length:
        yield np.arange(whole.size, tokens)[None]


def _losses(tensors: dict[str, Tensor], states: Tensor, targets: Tensor) -> np.ndarray:
    """The loss of each prediction; ``states``: shape (positions, width), ``targets``: token ids, shape (positions,)."""
    found = []
    for part, wanted in zip(torch.split(states, PREDICTIONS), torch.split(targets, PREDICTIONS), strict=True):
        logits = linear(head_states(tensors, part), tensors[OUTPUT_EMBEDDING], tensors[OUTPUT_BIAS])
        found.append(cross_entropy(logits, wanted, reduction="none").double().cpu())
    return torch.cat(found).numpy()
