"""Thresholds that are chosen on a validation table."""

from collections.abc import Sequence


def best_threshold(scores: Sequence[float], expected: Sequence[bool]) -> float:
    """The threshold between 0 and 1 with the highest F1, for predicting "yes" if a score is at least as high.

    scores: probabilities. The threshold is in the middle between two scores, or between the lowest one and 0. Of
    several such thresholds it is the one nearest to 0.5. It is 0.5 if no example expects "yes", since F1 is then 0.
    """
    import numpy as np

    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranked, right = np.asarray(scores, np.float64)[order], np.cumsum(np.asarray(expected, bool)[order])
    if not right[-1]:
        return 0.5
    chosen = np.arange(1, len(ranked) + 1)
    f1 = 2 * right / (chosen + right[-1])
    between = np.append(ranked[:-1] > ranked[1:], True)
    middles = (ranked + np.append(ranked[1:], 0.0))[between] / 2
    middles = middles[f1[between] == f1[between].max()]
    return float(middles[np.argmin(np.abs(middles - 0.5))])
