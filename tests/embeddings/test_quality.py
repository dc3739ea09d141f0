"""Retrieval and correlations, compared with the evaluators of sentence-transformers and with what is seen by eye."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sentence_transformers.sentence_transformer.evaluation import TranslationEvaluator

from focus_plugin.embeddings import quality
from focus_plugin.embeddings.quality import correlations, retrieval_accuracy


class _Embeddings:
    """A model that gives each text, a number, its row; what the evaluator of sentence-transformers asks of one."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.similarity_fn_name = "cosine"

    def encode(self, texts: list[str], **_: object) -> list[torch.Tensor]:
        return [torch.from_numpy(self.rows[int(text)]) for text in texts]


@pytest.mark.parametrize("rows_at_once", [1024, 7])
def test_retrieval_is_that_of_their_evaluator(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    monkeypatch.setattr(quality, "_ROWS", rows_at_once)
    draw = np.random.default_rng(1)
    first = draw.normal(size=(60, 5)).astype(np.float32)
    second = (first + draw.normal(size=first.shape)).astype(np.float32)
    texts = [(str(i), str(60 + i)) for i in range(60)]
    model = _Embeddings(np.concatenate([first, second]))
    theirs = TranslationEvaluator(*map(list, zip(*texts, strict=True)), show_progress_bar=False, write_csv=False)
    theirs.store_metrics_in_model_card_data = lambda *_: None
    wanted = theirs(model)
    found = retrieval_accuracy(first, second, texts)
    assert 0.2 < found["first_to_second"] < 0.9
    assert found["first_to_second"] == pytest.approx(wanted["src2trg_accuracy"])
    assert found["second_to_first"] == pytest.approx(wanted["trg2src_accuracy"])
    assert found["retrieval_accuracy"] == pytest.approx(wanted["mean_accuracy"])


def test_each_pair_with_the_same_text_is_right() -> None:
    """Of two pairs with one embedding, the first is always found; that is right for both if their texts are equal."""
    vectors = np.eye(3)[[0, 0, 2]]
    equal = [("hello", "jambo"), ("hello", "jambo"), ("bread", "mkate")]
    assert set(retrieval_accuracy(vectors, vectors, equal).values()) == {1}
    other = [("hello", "jambo"), ("hi", "jambo"), ("bread", "mkate")]
    assert retrieval_accuracy(vectors, vectors, other) == {
        "retrieval_accuracy": pytest.approx(5 / 6),
        "first_to_second": 1,
        "second_to_first": pytest.approx(2 / 3),
    }


def test_an_embedding_of_zeros_is_no_error() -> None:
    first, second = np.zeros((2, 3)), np.eye(3)[:2]
    assert retrieval_accuracy(first, second, [("a", "b"), ("c", "d")])["second_to_first"] == 0.5


def test_correlations() -> None:
    draw = np.random.default_rng(2)
    first, second, scores = draw.normal(size=(40, 5)), draw.normal(size=(40, 5)), draw.normal(size=40)
    cosines = [float(a @ b / np.sqrt((a @ a) * (b @ b))) for a, b in zip(first, second, strict=True)]
    assert correlations(first, second, scores) == {
        "spearman": pytest.approx(spearmanr(cosines, scores)[0]),
        "pearson": pytest.approx(pearsonr(cosines, scores)[0]),
    }


def test_correlations_that_are_not_defined_are_zero() -> None:
    rows = np.eye(3)
    assert set(correlations(rows, rows, [0.1, 0.5, 0.7]).values()) == {0}
    assert set(correlations(rows, rows[::-1], [0.5, 0.5, 0.5]).values()) == {0}
