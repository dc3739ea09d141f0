"""Scores of answers by the rules of the official evaluation script for SQuAD 2.0 (Rajpurkar et al. 2018, section 5).

For questions that have an answer, they are the rules for SQuAD 1.1 (Rajpurkar et al. 2016, section 6.1).
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def plain_answer(answer: str) -> str:
    """An answer in lower case, without ASCII punctuation and English articles, with single spaces."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_WITHOUT_PUNCTUATION)).split())


def answer_scores(expected: Iterable[str], found: str) -> tuple[float, float]:
    """F1 and exact match of an answer, each the best over all expected answers; both 0 to 1.

    Without expected answers, or with those that become empty, "" is expected.
    """
    wanted = [plain for answer in expected if (plain := plain_answer(answer))] or [""]
    given = plain_answer(found)
    return max(_token_f1(plain, given) for plain in wanted), float(given in wanted)


def _token_f1(expected: str, found: str) -> float:
    """F1 of the words of two plain answers. If one of them is empty, 1 if both are."""
    words, given = expected.split(), found.split()
    if not words or not given:
        return float(words == given)
    shared = (Counter(words) & Counter(given)).total()
    return 2 * shared / (len(words) + len(given))


def no_answer_threshold(gains: Sequence[float], no_answer_scores: Sequence[float]) -> float | None:
    """The threshold with the highest mean score, if questions with a larger no-answer score are not answered.

    ``gains``: for each question, the score of its answer minus that of no answer. Returns None if it is best to answer
    every question. The threshold is half-way between two questions; of several that are equally good, the lowest, as in
    ``find_best_thresh`` of the official script.
    """
    order = np.argsort(no_answer_scores, kind="stable")
    ordered = np.asarray(no_answer_scores, float)[order]
    totals = np.concatenate([[0.0], np.cumsum(np.asarray(gains, float)[order])])  # of answering the first ones
    totals[1:-1][ordered[1:] == ordered[:-1]] = -np.inf  # no threshold separates these
    answered = int(np.argmax(totals))
    if answered == len(ordered):
        return None
    if answered == 0:
        return float(ordered[0]) - 1
    return float(ordered[answered - 1 : answered + 1].mean())
