"""The list of a model's errors, the confusion of labels, and the page about an evaluation."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from focus_plugin.finetuning.declaration import Example, Outcome
from focus_plugin.finetuning.mistakes import Confusion, label_counts, mistakes, write_mistakes
from focus_plugin.finetuning.page import Evaluated, write_evaluation

LABEL = st.sampled_from(["a", "b", "c d", "é"])
LABELS = st.lists(LABEL, max_size=3, unique=True)


@given(st.lists(st.tuples(LABEL, LABEL), min_size=1, max_size=20))
def test_confusion_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    confusion = Confusion.of([Outcome(one, other, float(one != other)) for one, other in pairs])
    expected, predicted = zip(*pairs, strict=True)
    labels = sorted({*expected, *predicted})
    assert confusion.labels == tuple(labels)
    assert np.array_equal(confusion.counts, confusion_matrix(expected, predicted, labels=labels))


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=20), st.booleans())
def test_labels_are_counted_as_by_scikit_learn(pairs: list[tuple[list[str], list[str]]], several: bool) -> None:
    """Also if a sample has several labels, or none."""
    if several:
        outcomes = [Outcome(", ".join(one), ", ".join(other), 1.0, several=(one, other)) for one, other in pairs]
    else:
        pairs = [([" ".join(one)], [" ".join(other)]) for one, other in pairs]
        outcomes = [Outcome(one, other, 1.0) for [one], [other] in pairs]
    counts = label_counts(outcomes)
    labels = sorted({label for pair in pairs for side in pair for label in side})
    assert [of.label for of in counts] == labels
    for of in counts:
        expected, predicted = ([of.label in side for side in sides] for sides in zip(*pairs, strict=True))
        wanted = precision_recall_fscore_support(expected, predicted, labels=[True], zero_division=0)[:3]
        np.testing.assert_allclose(of.scores, np.ravel(wanted))
        [[_, wrong], [missed, right]] = confusion_matrix(expected, predicted, labels=[False, True])
        assert (of.right, of.predicted, of.expected) == (right, right + wrong, right + missed)


def _found() -> tuple[list[Example], list[Outcome]]:
    examples = [Example(2, "ba\u2028be \u00a0bi"), Example(3, ("bo", "bu")), Example(5, "<b>&"), Example(6, "")]
    outcomes = [Outcome("a", "b", 1.0), Outcome("a", "a", 0.0), Outcome("a", "<c>", 3.0), Outcome("", "b", 1.0)]
    return examples, outcomes


def test_errors_are_a_table_with_one_line_each(tmp_path: Path) -> None:
    write_mistakes(tmp_path / "errors.tsv", ("text",), mistakes(*_found()))
    assert (tmp_path / "errors.tsv").read_bytes().decode() == (
        "line\texpected\tpredicted\ttext\n5\ta\t<c>\t<b>&\n2\ta\tb\tba be bi\n6\t\tb\t\n"
    )


def test_the_page_has_everything_as_text(tmp_path: Path) -> None:
    examples, outcomes = _found()
    found = Evaluated("sw.topic on <t>", ("text",), {"macro_f1": 0.25}, outcomes, mistakes(examples, outcomes))
    for name in ("one.html", "other.html"):
        write_evaluation(tmp_path / name, found)
    page = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert (tmp_path / "other.html").read_text(encoding="utf-8") == page
    assert "4 samples: macro-f1 0.250." in page
    assert "sw.topic on &lt;t&gt;" in page
    assert "<td>&lt;b&gt;&amp;</td>" in page
    assert "<b>" not in page
    assert "3 of 3." in page
    assert not re.search(r'(src|href)="', page)


@pytest.mark.parametrize("classes", [True, False])
def test_confusion_is_shown_for_a_few_labels(tmp_path: Path, classes: bool) -> None:
    for number in (3, 41):
        outcomes = [Outcome(str(i), str(i), 0.0, classes) for i in range(number)]
        write_evaluation(tmp_path / "page.html", Evaluated("t", ("text",), {"accuracy": 1.0}, outcomes, []))
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert ("Confusion of labels" in page) == (classes and number == 3)
        assert ('<td>0</td><td class="number">1</td>' in page) == classes, "the counts of the label 0"
        assert "0 of 0." in page
