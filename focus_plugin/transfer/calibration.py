"""The bias of the masked-LM head, fitted to how often the target language uses each token.

After a change of vocabulary the head's bias still reflects the token frequencies of the source's languages, and mixed
rows can get systematically higher or lower probabilities than copied ones. A few forward passes measure how often the
model predicts each token. The classical correction of a classifier to new prior probabilities (Saerens, Latinne &
Decaestecker, Neural Computation 2002, equation 2.4) then changes the bias so that the model predicts each token as
often as it occurs in the text. Only the bias changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.forward import head_states, hidden_states
from focus_plugin.checkpoint.names import OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.masked_lm.masking import PREDICTED_SHARE
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import batches
from focus_plugin.vocabulary.tokenizers import Tokenizer, piece_ids
from focus_plugin.vocabulary.training import sample_lines
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, Vocabulary

SAMPLE_BYTES = 1 << 26
SAMPLE_LENGTH = 128
SAMPLES_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How to fit the bias.

    tokens: how many tokens of the text the model reads, in blocks drawn with ``seed``. kept: shape (vocabulary,), bool,
    tokens whose bias must not change, so that the ratios of their probabilities stay the same. The biases of the other
    tokens are fitted relative to theirs. device: where to compute, as torch names it.
    """

    tokens: int
    kept: np.ndarray
    seed: int
    device: str = "cpu"


def calibrated_bias(
    config: EncoderConfig,
    tensors: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    text: np.ndarray,
    how: Calibration,
    progress: Progress = silent,
) -> Tensor:
    """The output bias with which the masked LM predicts each token as often as it occurs; shape (vocabulary,).

    ``text``: token ids of target text, shape (any,). The wanted frequency of a token is its count in the text plus one.
    Special tokens keep their bias, and the sum of their probabilities remains the same. ``progress`` is called with the
    number of tokens read since the last call.
    """
    blocks = _blocks(text, vocabulary, min(SAMPLE_LENGTH, config.max_positions), how)
    on_device = {name: tensor.to(how.device) for name, tensor in tensors.items()}
    generator = torch.Generator().manual_seed(how.seed)
    predicted, positions = torch.zeros(len(vocabulary), dtype=torch.float64), 0
    for batch in torch.split(blocks, SAMPLES_AT_ONCE):
        masked = (torch.rand(batch.shape, generator=generator) < PREDICTED_SHARE) & (batch != vocabulary.ids[BEGIN])
        ids = batch.masked_fill(masked, vocabulary.ids[MASK]).to(how.device)
        probabilities = _predictions(config, on_device, ids, masked.to(how.device))
        predicted += probabilities.sum(0, dtype=torch.float64).cpu()
        positions += len(probabilities)
        progress(batch.numel())
    predicted = (predicted / max(positions, 1)).clamp(min=torch.finfo(torch.float32).tiny)  # underflow gives zeros
    special, wanted = torch.from_numpy(vocabulary.special), wanted_shares(predicted, vocabulary, text)
    change = torch.log(wanted) - torch.log(predicted)
    same = torch.from_numpy(how.kept) & ~special
    if same.any():  # only differences of biases count
        change -= torch.log(wanted[same].sum()) - torch.log(predicted[same].sum())
    fitted = ~special & ~same
    bias = tensors[OUTPUT_BIAS].clone()
    bias[fitted] += change[fitted].float()
    return bias


def wanted_shares(predicted: Tensor, vocabulary: Vocabulary, text: np.ndarray) -> Tensor:
    """How often each token should be predicted; (vocabulary,), with the sum of ``predicted`` over tokens of text.

    ``predicted``: (vocabulary,), float64, how often each is predicted. ``text``: token ids. It is in proportion to the
    count in the text plus one, and 0 for special tokens.
    """
    special = torch.from_numpy(vocabulary.special)
    frequency = torch.from_numpy(np.bincount(text, minlength=len(vocabulary))).double() + 1
    frequency[special] = 0
    return frequency / frequency.sum() * predicted[~special].sum()


def text_ids(
    corpus: Text, tokenizer: Tokenizer, vocabulary: Vocabulary, seed: int, progress: Progress = silent
) -> np.ndarray:
    """Token ids of a text, with ``</s>`` after every line; shape (any,), int32.

    A text that is larger than SAMPLE_BYTES is sampled. ``progress`` is called with the number of bytes read since the
    last call. Raises FocusError for a text of fewer than SAMPLE_LENGTH tokens.
    """
    table, end = piece_ids(tokenizer, vocabulary), vocabulary.ids[END]
    parts: list[np.ndarray] = [np.empty(0, np.int32)]
    for batch in batches(sample_lines(corpus, corpus.content(), SAMPLE_BYTES, seed, progress)):
        parts += [np.append(table[ids], end) for ids in map(np.asarray, tokenizer.ids(batch)) if len(ids)]
    text: np.ndarray = np.concatenate(parts).astype(np.int32)
    if len(text) < SAMPLE_LENGTH:
        raise FocusError(f"{corpus}: has {len(text)} tokens, too few to calibrate on; give more text or --calibrate 0.")
    return text


def _blocks(text: np.ndarray, vocabulary: Vocabulary, length: int, how: Calibration) -> Tensor:
    """Blocks of the text, each with ``<s>`` before it, in random order; shape (blocks, length)."""
    whole = text[: len(text) // (length - 1) * (length - 1)].reshape(-1, length - 1)
    drawn = np.random.default_rng(how.seed).permutation(len(whole))[: -(-how.tokens // length)]
    begin = np.full((len(drawn), 1), vocabulary.ids[BEGIN])
    return torch.from_numpy(np.concatenate([begin, whole[drawn]], axis=1).astype(np.int64))


@torch.inference_mode()
def _predictions(config: EncoderConfig, tensors: Mapping[str, Tensor], ids: Tensor, masked: Tensor) -> Tensor:
    """Probabilities of all tokens at the masked positions; shape (masked positions, vocabulary)."""
    states = head_states(tensors, hidden_states(config, tensors, ids)[masked])
    return torch.log_softmax(states @ tensors[OUTPUT_EMBEDDING].T + tensors[OUTPUT_BIAS], 1).exp_()
