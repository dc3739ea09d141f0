"""Where each row of the target came from. The counts, the report and the manifest are made from this."""

from dataclasses import dataclass

import numpy as np

COPIED, MIXED, FILLED, LEARNED = 0, 1, 2, 3
KINDS = ("copied", "mixed", "filled", "learned")  # their names, by number
LISTED = 5  # anchors of each mixture that are kept here; all of them are in the mixing matrix


@dataclass(frozen=True)
class Origins:
    """Where the rows of a target of n tokens came from.

    kind: (n,), int8, COPIED, MIXED, FILLED or LEARNED. support: (n,), int32, the number of source tokens in a mixture,
    0 for other rows. similarity: (n,), float32, the cosine to the most similar anchor, NaN if the row was not mixed by
    a method that compares vectors. anchors: (n, LISTED), int32, the source ids with the largest absolute weights in a
    mixture, largest first, and -1 behind them; of a copy its source id. weights: (n, LISTED), float32, the weights of
    these anchors, and 0 behind them.
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
