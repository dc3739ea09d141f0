"""Which tokens of a text a masked LM is measured on, and what it reads in their place.

The rule is that of BERT (Devlin et al. 2019, section 3.1) and RoBERTa: 15 % of the tokens are predicted; of these 80 %
are read as ``<mask>``, 10 % as a random token and 10 % as they are. Special tokens are neither predicted nor put in
another's place. The draw depends on the text and a random seed alone, so that every encoder with the same vocabulary
is measured on the same predictions, however it was trained and in whatever samples and batches it reads the text.
"""

from dataclasses import dataclass

import numpy as np

from focus_plugin.vocabulary.vocabulary import MASK, Vocabulary

PREDICTED = 0.15  # of the tokens of a text
_MASKED, _RANDOM = 0.8, 0.1  # of the predicted ones


@dataclass(frozen=True, kw_only=True)
class MaskedText:
    """A text with the tokens that are to be predicted; all of shape (tokens,).

    original, read: token ids as they were, and as an encoder reads them. predicted: bool.
    """

    original: np.ndarray
    read: np.ndarray
    predicted: np.ndarray


def mask_text(ids: np.ndarray, vocabulary: Vocabulary, seed: int) -> MaskedText:
    """Draw the tokens of a text that are to be predicted; ``ids``: shape (tokens,)."""
    draw = np.random.RandomState(seed)  # whose streams no version of NumPy changes (NEP 19)
    ordinary = np.flatnonzero(~vocabulary.special[ids])
    count = round(PREDICTED * len(ordinary))
    chosen = draw.permutation(ordinary)[:count]
    masked, replaced, _ = np.split(chosen, [round(_MASKED * count), round((_MASKED + _RANDOM) * count)])
    read, predicted = ids.copy(), np.zeros(len(ids), dtype=bool)
    read[masked] = vocabulary.ids[MASK]
    read[replaced] = draw.choice(np.flatnonzero(~vocabulary.special), len(replaced))
    predicted[chosen] = True
    return MaskedText(original=ids, read=read, predicted=predicted)
