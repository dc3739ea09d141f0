"""Where each row of the target came from: what the counts, the report and the manifest are made of."""

from dataclasses import dataclass

import numpy as np

COPIED, MIXED, FILLED, LEARNED = 0, 1, 2, 3
KINDS = ("copied", "mixed", "filled", "learned")  # their names, by number
LISTED = 5  # anchors kept of each mixture; the whole of it is in the mixing matrix


@dataclass(frozen=True)
class Origins:
    """How the rows of a target of n tokens came to be.

    kind: (n,), int8, COPIED, MIXED, FILLED or LEARNED. support: (n,), int32, source tokens in a mixture, else 0.
    similarity: (n,), float32, the cosine to the most similar anchor, NaN unless mixed by a method that compares
    vectors. anchors: (n, LISTED), int32, the source ids whose weights in a mixture are largest in size, largest first,
    -1 where there are fewer; a copy's is its source. weights: (n, LISTED), float32, theirs, 0 where there are fewer.
    """

    kind: np.ndarray
    support: np.ndarray
    similarity: np.ndarray
    anchors: np.ndarray
    weights: np.ndarray


def counts(origins: Origins) -> dict[str, int | float]:
    """How many rows are copied (overlap), mixed, filled and learned, and the mean and largest support of mixtures."""
    kinds = np.bincount(origins.kind, minlength=len(KINDS))
    support = origins.support[origins.kind == MIXED]
    return {
        "overlap": int(kinds[COPIED]),
        "mixed": int(kinds[MIXED]),
        "filled": int(kinds[FILLED]),
        "learned": int(kinds[LEARNED]),
        "mean_support": float(support.mean()) if len(support) else 0.0,
        "largest_support": int(support.max(initial=0)),
    }
