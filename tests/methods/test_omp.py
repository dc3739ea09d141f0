"""``--method omp``: rows against the paper in NumPy, on two kinds of tokenizers, and the command."""

import numpy as np
import pytest
from invoked import run
from mixing_inputs import by_vectors, dense, tensors, two_of_a_kind, vectors, vocabularies
from tokenizer_kinds import byte_level, unigram

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.methods import omp
from focus_plugin.methods.omp import METHOD
from focus_plugin.mixing import similarity
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.origins import FILLED, MIXED


def pursued(vector: np.ndarray, points: np.ndarray, count: int) -> tuple[list[int], np.ndarray]:
    """The chosen points and their coefficients, as in algorithm 1 of the paper."""
    chosen: list[int] = []
    residual = vector
    for _ in range(count):
        products = np.abs(points @ residual)
        products[chosen] = -1
        chosen.append(int(products.argmax()))
        weights = np.linalg.lstsq(points[chosen].T, vector, rcond=None)[0]
        residual = vector - points[chosen].T @ weights
    return chosen, weights


@pytest.mark.parametrize("kind", [unigram, byte_level])
@pytest.mark.parametrize("anchors", [1, 8, 64])
def test_rows_are_those_of_the_paper(kind, anchors, tmp_path):
    source, target = two_of_a_kind(kind, tmp_path)
    donor = np.random.default_rng(1).normal(0.1, 1, (len(target), 128)).astype(np.float32)
    model = tensors(len(source), 6, 1)
    mixing = by_vectors(METHOD, source, target, TokenVectors.of(donor), special_anchors=True, anchors=anchors)
    done, rows = apply(model, mixing, seed=1), model[EMBEDDING].double().numpy()
    ids = {form: i for i, form in enumerate(source.forms)}
    shared = [i for i, form in enumerate(target.forms) if form in ids]
    new = [i for i in range(len(target)) if i not in shared]
    assert len(new) > 40
    for i in new[:: max(1, anchors // 8)]:  # fewer of those that take long
        chosen, weights = pursued(donor[i].astype(np.float64), donor[shared].astype(np.float64), anchors)
        want = weights @ rows[[ids[target.forms[shared[j]]] for j in chosen]]
        np.testing.assert_allclose(done.tensors[EMBEDDING][i].numpy(), want, atol=1e-5)
        assert done.origins.support[i] == anchors


def test_scale_and_blocks_change_nothing(monkeypatch):
    source, target = vocabularies(40, 4, 20)
    auxiliary = vectors(target, 16, 1).vectors
    whole = dense(by_vectors(METHOD, source, target, TokenVectors.of(auxiliary)), len(source))
    for factor in (1e-30, 1e30):
        scaled = TokenVectors.of((auxiliary * np.float64(factor)).astype(np.float32))
        np.testing.assert_allclose(dense(by_vectors(METHOD, source, target, scaled), len(source)), whole, atol=1e-4)
    monkeypatch.setattr(similarity, "SIMILARITIES_AT_ONCE", 3 * 40)
    np.testing.assert_allclose(
        dense(by_vectors(METHOD, source, target, TokenVectors.of(auxiliary)), len(source)), whole, atol=1e-5
    )


def test_a_token_unlike_all_anchors_is_filled():
    source, target = vocabularies(2, 0, 2)
    auxiliary = np.zeros((len(target), 3), dtype=np.float32)
    for token, vector in {"c0": (1, 0, 0), "c1": (0, 1, 0), "t0": (0, 0, 1), "t1": (1, 2, 3)}.items():
        auxiliary[target.ids[token]] = vector
    done = apply(tensors(len(source), 4, 1), by_vectors(METHOD, source, target, TokenVectors.of(auxiliary)), seed=1)
    assert [done.origins.kind[target.ids[token]] for token in ("t0", "t1")] == [FILLED, MIXED]


def test_the_command(release, vocabulary, target_text, tmp_path):
    job = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", omp.METHOD.name)
    run(*job, "--corpus", target_text, "--dim", 16, "--anchors", 3, "--output", tmp_path / "out")
    assert "▁ba: a mixture of 3." in run("focus", "explain", tmp_path / "out", "▁ba").stdout
    assert "The weights of a mixture can be negative" in (tmp_path / "out" / "report.html").read_text()
