"""The baseline: overlapping tokens keep their rows, all others are left to the fill."""

import numpy as np

from focus_plugin.methods.mixing import Mixing
from focus_plugin.vocabulary.overlap import EXACT, Matching, overlap
from focus_plugin.vocabulary.vocabulary import Vocabulary


def random(source: Vocabulary, target: Vocabulary, matching: Matching = EXACT) -> Mixing:
    """The mixing matrix without mixtures."""
    return Mixing(overlap(source, target, matching), np.empty(0, np.int64), iter(()))
