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
    found = {str(number): answer or "." for number, (_, answer, _) in enumerate(questions)}
    no_answer = {str(number): float(score) for number, (_, _, score) in enumerate(questions)}
    scores = [answer_scores(golds[name], answer)[0] for name, answer in found.items()]
    # an answer without words is right where there is none, which a threshold cannot know
    if any(squad_script.words(answer) == [] for answer in found.values()):
        return
    threshold = no_answer_threshold(scores, list(no_answer.values()), [bool(gold) for gold, _, _ in questions])
    given_answers = {
        name: answer if threshold is None or no_answer[name] <= threshold else "" for name, answer in found.items()
    }
    assert squad_script.scores(golds, given_answers)["f1"] == pytest.approx(
        squad_script.best_f1(golds, found, no_answer)
    )
