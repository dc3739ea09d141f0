"""Auxiliary embeddings from an encoder that already has the target vocabulary."""

from pathlib import Path

import numpy as np

from focus_plugin.auxiliary.alignment import EXAMPLES, TokenVectors
from focus_plugin.checkpoint.names import EMBEDDING, PROJECTION
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.vocabulary import Vocabulary


def encoder_vectors(directory: Path, target: Vocabulary, any_vocabulary: bool = False) -> TokenVectors:
    """The input embeddings of the target's tokens in an encoder, such as the helper of CLP-Transfer or a donor.

    ``any_vocabulary``: whether the encoder's vocabulary may lack tokens of the target; they get no vector. Raises
    FocusError if it lacks some, for NaN and infinity, and if the directory is no encoder.
    """
    encoder = read_checkpoint(directory)
    ids = np.array([encoder.vocabulary.ids.get(token, -1) for token in target.tokens])
    missing = np.flatnonzero((ids < 0) & ~target.special)
    if len(missing) == np.count_nonzero(~target.special) or (len(missing) and not any_vocabulary):
        examples = ", ".join(repr(target.tokens[i]) for i in missing[:EXAMPLES])
        raise FocusError(
            f"{directory}: its vocabulary lacks {len(missing):,} of the {len(target):,} tokens of the target "
            f"vocabulary, such as {examples}; give an encoder that was trained with the target vocabulary."
        )
    rows = encoder.tensors[EMBEDDING][np.maximum(ids, 0)]
    vectors = (rows @ encoder.tensors[PROJECTION] if PROJECTION in encoder.tensors else rows).numpy()
    vectors[ids < 0] = 0
    if not np.isfinite(vectors).all():
        raise FocusError(f"{directory}: its embeddings hold NaN or infinity; the checkpoint is damaged.")
    return TokenVectors.of(vectors)
