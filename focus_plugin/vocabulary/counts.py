"""How often each token of a vocabulary occurs in the text it was made from."""

from pathlib import Path

import numpy as np

from focus_plugin.files import read_lines
from focus_plugin.vocabulary.vocabulary import Vocabulary


def read_counts(dictionary: str | Path, vocabulary: Vocabulary) -> np.ndarray:
    """The counts in a fairseq ``dict.txt`` that ``vocabulary`` was read from; shape (tokens,), int64.

    Tokens the file does not list, as ``<s>``, have 0; so have counts below 0, by which some tools order a
    dictionary without counts.
    """
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    for line in read_lines(dictionary):
        token, _, count = line.rstrip().removesuffix(" #fairseq:overwrite").rpartition(" ")
        counts[vocabulary.ids[token]] = max(int(count), 0)
    return counts
