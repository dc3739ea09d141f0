"""The scores of answers, compared with the rules of SQuAD's official script."""

import pytest
import squad_script
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.question_answering.scores import answer_scores, no_answer_threshold

WORDS = st.sampled_from(
    ["the", "a", "An", "cat", "Cat", "sat", "U.S.", "...", "1,000", "naïve", "the-cat", "«sat»", ""]
)
ANSWERS = st.lists(WORDS, max_size=4).map(" ".join)


@settings(max_examples=500, deadline=None)
@given(st.lists(ANSWERS, max_size=3), ANSWERS)
def test_answers_score_as_in_the_official_script(expected: list[str], found: str) -> None:
    wanted = squad_script.scores({"q": expected}, {"q": found})
    assert answer_scores(expected, found) == pytest.approx((wanted["f1"], wanted["exact_match"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "cat", "the cat sat"]), ANSWERS, st.integers(-3, 3)), min_size=1))
def test_no_threshold_is_better(questions: list[tuple[str, str, int]]) -> None:
    """Of all that the official script tries; None is the one with which every question is answered."""
    golds = {str(number): [gold] for number, (gold, _, _) in enumerate(questions)}
    found = {str(number): answer for number, (_, answer, _) in enumerate(questions)}
    no_answer = {str(number): float(score) for number, (_, _, score) in enumerate(questions)}
    gains = [
        answer_scores(golds[name], answer)[0] - answer_scores(golds[name], "")[0] for name, answer in found.items()
    ]
    threshold = no_answer_threshold(gains, list(no_answer.values()))
    answers = {name: found[name] if threshold is None or no_answer[name] <= threshold else "" for name in found}
    best = squad_script.best_f1(golds, found, no_answer)
    assert squad_script.scores(golds, answers)["f1"] == pytest.approx(best)
