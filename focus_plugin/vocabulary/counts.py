"""Reads how often each token of a vocabulary occurs in the text that the vocabulary was made from."""

from pathlib import Path

import numpy as np

from focus_plugin.files import read_lines
from focus_plugin.vocabulary.vocabulary import Vocabulary


def read_counts(dictionary: str | Path, vocabulary: Vocabulary) -> np.ndarray:
    """The counts in the fairseq ``dict.txt`` that ``vocabulary`` was read from; shape (tokens,), int64.

    The count of a token that is not in the file, such as ``<s>``, is 0. A negative count becomes 0: some tools write
    negative numbers to keep the order of tokens without counts.
    """
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    for line in read_lines(dictionary):
        token, _, count = line.rstrip().removesuffix(" #fairseq:overwrite").rpartition(" ")
        counts[vocabulary.ids[token]] = max(int(count), 0)
    return counts
