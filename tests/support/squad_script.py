"""The official evaluation script for SQuAD 2.0, its rules written anew: of one question, and of a file."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence


def words(answer: str) -> list[str]:
    lower = "".join(sign for sign in answer.lower() if sign not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", lower).split()


def exact(gold: str, found: str) -> int:
    return int(words(gold) == words(found))


def f1(gold: str, found: str) -> float:
    golden, given = words(gold), words(found)
    same = sum((Counter(golden) & Counter(given)).values())
    if not golden or not given:
        return int(golden == given)
    if not same:
        return 0
    precision, recall = same / len(given), same / len(golden)
    return 2 * precision * recall / (precision + recall)


def scores(golds: Mapping[str, Sequence[str]], found: Mapping[str, str]) -> dict[str, float]:
    """F1 and exact match of answers by the ids of their questions."""
    total = {"f1": 0.0, "exact_match": 0.0}
    for name, answers in golds.items():
        wanted = [answer for answer in answers if words(answer)] or [""]
        total["f1"] += max(f1(gold, found[name]) for gold in wanted)
        total["exact_match"] += max(exact(gold, found[name]) for gold in wanted)
    return {name: value / len(golds) for name, value in total.items()}


def best_f1(golds: Mapping[str, Sequence[str]], found: Mapping[str, str], no_answer: Mapping[str, float]) -> float:
    """The highest F1 of all thresholds, each tried."""
    thresholds = [min(no_answer.values()) - 1, *no_answer.values()]
    return max(
        scores(golds, {name: "" if no_answer[name] > threshold else found[name] for name in found})["f1"]
        for threshold in thresholds
    )
