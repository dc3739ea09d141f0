"""The mixing matrix of a vocabulary that extends the source's, from that of the language it was extended by."""

from dataclasses import replace

import numpy as np

from focus_plugin.methods.mixing import Mixing
from focus_plugin.vocabulary.vocabulary import Vocabulary


def extended(mixing: Mixing, source: Vocabulary, language: Vocabulary, target: Vocabulary) -> Mixing:
    """``mixing``, which makes ``language`` of ``source``, with its rows where ``target`` has their tokens.

    ``target`` holds the tokens of both. Those of the source keep their rows, whatever else is alike. So only tokens
    of the language are anchors, as with the authors' package and section 4.1 of the FOCUS paper.
    """
    rows = np.array([target.ids[token] for token in language.tokens])
    copied = np.full(len(target), -1, dtype=np.int64)
    copied[rows] = mixing.copied
    copied[[target.ids[token] for token in source.tokens]] = np.arange(len(source))
    return Mixing(copied, mixing.anchors, (replace(block, rows=rows[block.rows]) for block in mixing.blocks))
