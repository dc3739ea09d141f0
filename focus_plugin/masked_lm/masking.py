"""Chooses the tokens that a masked LM must predict in an evaluation, and masks them.

The rule is that of BERT (Devlin et al. 2019, section 3.1) and RoBERTa: 15 % of the tokens are predicted. Of these, 80 %
are replaced by ``<mask>``, 10 % by a random token, and 10 % are left unchanged. Special tokens are neither predicted
nor used as replacements. The choice depends only on the text and the random seed. So all encoders with the same
vocabulary must predict the same tokens, whatever their training and batch size.
"""

from dataclasses import dataclass

import numpy as np

from focus_plugin.vocabulary.vocabulary import MASK, Vocabulary

PREDICTED_SHARE = 0.15  # share of the tokens of a text
MASKED, REPLACED = 0.8, 0.1  # shares of the predicted tokens


@dataclass(frozen=True, kw_only=True)
class MaskedText:
    """A masked text. All arrays have shape (tokens,).

    original: the token ids of the text. read: the ids that the encoder reads. predicted: bool, the tokens to predict.
    """

    original: np.ndarray
    read: np.ndarray
    predicted: np.ndarray


def mask_text(ids: np.ndarray, vocabulary: Vocabulary, seed: int) -> MaskedText:
    """Mask a text at random; ``ids``: its token ids, shape (tokens,)."""
    draw = np.random.RandomState(seed)  # gives the same numbers in every version of NumPy (NEP 19)
    ordinary = np.flatnonzero(~vocabulary.special[ids])
    count = round(PREDICTED_SHARE * len(ordinary))
    chosen = draw.permutation(ordinary)[:count]
    masked, replaced, _ = np.split(chosen, [round(MASKED * count), round((MASKED + REPLACED) * count)])
    read, predicted = ids.copy(), np.zeros(len(ids), dtype=bool)
    read[masked] = vocabulary.ids[MASK]
    read[replaced] = draw.choice(np.flatnonzero(~vocabulary.special), len(replaced))
    predicted[chosen] = True
    return MaskedText(original=ids, read=read, predicted=predicted)
