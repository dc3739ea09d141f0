"""The mixing matrix and its application, against a plain statement of the paper."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from entmax import entmax_bisect, sparsemax
from hypothesis import given, settings
from hypothesis import strategies as st
from mixing_inputs import dense, focus, random, tensors, vectors, vocabularies

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.methods.focus import METHOD, FocusOptions
from focus_plugin.mixing import similarity
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.origins import COPIED, FILLED, MIXED
from focus_plugin.vocabulary.vocabulary import MASK, SPECIALS, Vocabulary


def paper(source: Vocabulary, target: Vocabulary, auxiliary: np.ndarray, matrix: np.ndarray) -> dict[int, np.ndarray]:
    """Row by row in float64: what FOCUS is, without any care for speed."""
    shared = [t for t in target.tokens if t in source.ids and t not in SPECIALS and auxiliary[target.ids[t]].any()]
    rows = {}
    for i, token in enumerate(target.tokens):
        if token in source.ids or token in SPECIALS or not auxiliary[i].any():
            continue
        vectors = auxiliary[[target.ids[t] for t in shared]].astype(np.float64)
        vector = auxiliary[i].astype(np.float64)
        cosine = vectors @ vector / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vector)
        weights = sparsemax(torch.from_numpy(cosine), dim=0).numpy()
        rows[i] = weights @ matrix[[source.ids[t] for t in shared]].astype(np.float64)
    return rows


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10), st.integers(1, 30), st.integers(2, 12), st.integers(0, 10**6))
def test_focus_is_what_the_paper_says(common, only_source, only_target, dimension, seed):
    source, target = vocabularies(common, only_source, only_target)
    auxiliary = np.random.default_rng(seed).normal(size=(len(target), dimension)).astype(np.float32)
    auxiliary[target.ids["t0"]] = 0
    model = tensors(len(source), 6, seed)
    done = apply(model, focus(source, target, TokenVectors.of(auxiliary)), seed=1)
    want = paper(source, target, auxiliary, model[EMBEDDING].numpy())
    kinds = [np.count_nonzero(done.origins.kind == kind) for kind in (COPIED, MIXED, FILLED)]
    assert kinds == [common + 5, only_target - 1, 1]
    for row, vector in want.items():
        np.testing.assert_allclose(done.tensors[EMBEDDING][row].numpy(), vector, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 10**6))
def test_rows_are_convex_and_only_over_the_overlap(common, only_target, seed):
    source, target = vocabularies(common, 5, only_target)
    auxiliary = np.random.default_rng(seed).normal(size=(len(target), 4)).astype(np.float32)
    matrix = dense(focus(source, target, TokenVectors.of(auxiliary)), len(source))
    new = [target.ids[f"t{i}"] for i in range(only_target)]
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix[new].sum(axis=1), 1, atol=1e-5)
    used = {source.tokens[j] for j in np.flatnonzero(matrix.any(axis=0))}
    assert used <= {f"c{i}" for i in range(common)}


@pytest.mark.parametrize("alpha", [1.0, 1.1, 1.5, 1.75, 2.0])
def test_weights_are_the_entmax_of_the_cosines(alpha):
    source, target = vocabularies(500, 5, 20)
    auxiliary = vectors(target, 10, 1)
    matrix = dense(focus(source, target, auxiliary, alpha=alpha), len(source))
    unit = torch.nn.functional.normalize(torch.from_numpy(auxiliary.vectors).double(), dim=1)
    anchors = [i for i, token in enumerate(target.tokens) if token.startswith("c")]
    new = [target.ids[f"t{i}"] for i in range(20)]
    want = (
        entmax_bisect(unit[new] @ unit[anchors].T, alpha, 1) if alpha > 1 else (unit[new] @ unit[anchors].T).softmax(1)
    )
    columns = [source.ids[target.tokens[i]] for i in anchors]
    np.testing.assert_allclose(matrix[np.ix_(new, columns)], want.numpy(), atol=1e-5)
    assert ("entmax" in METHOD.packages(FocusOptions(alpha=alpha))) == (alpha not in (1, 2))


def test_blocks_and_large_supports_change_nothing(monkeypatch):
    """All cosines are near 1, so that nearly every anchor is in the support."""
    source, target = vocabularies(300, 0, 25)
    draw = np.random.default_rng(3)
    auxiliary = (1 + 1e-3 * draw.normal(size=(len(target), 8))).astype(np.float32)
    whole = dense(focus(source, target, TokenVectors.of(auxiliary)), len(source))
    assert (whole[4:29] > 0).sum(axis=1).min() > 250
    monkeypatch.setattr(similarity, "SIMILARITIES_AT_ONCE", 4 * 300)
    monkeypatch.setattr(similarity, "FEWEST_ROWS", 1)
    np.testing.assert_allclose(dense(focus(source, target, TokenVectors.of(auxiliary)), len(source)), whole, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 30), st.integers(1, 30), st.integers(0, 10**6))
def test_order_of_the_source_vocabulary_does_not_matter(common, only_source, only_target, seed):
    source, target = vocabularies(common, only_source, only_target)
    auxiliary = vectors(target, 6, seed)
    order = np.random.default_rng(seed).permutation(len(source))
    shuffled = Vocabulary.of([source.tokens[i] for i in order])
    model = tensors(len(source), 5, seed)
    permuted = {**model, EMBEDDING: model[EMBEDDING][order], OUTPUT_BIAS: model[OUTPUT_BIAS][order]}
    permuted[OUTPUT_EMBEDDING] = permuted[EMBEDDING]
    one = apply(model, focus(source, target, auxiliary), seed=1).tensors
    other = apply(permuted, focus(shuffled, target, auxiliary), seed=1).tensors
    torch.testing.assert_close(one[EMBEDDING], other[EMBEDDING], atol=1e-6, rtol=0)
    torch.testing.assert_close(one[OUTPUT_BIAS], other[OUTPUT_BIAS], atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 30), st.integers(-20, 20), st.integers(0, 10**6))
def test_a_scaled_source_gives_the_scaled_result(common, only_target, exponent, seed):
    """By a power of two, so that rounding is the same and the result is to the bit, drawn rows and all."""
    source, target = vocabularies(common, 5, only_target)
    auxiliary, scale = vectors(target, 6, seed), 2.0**exponent
    auxiliary.vectors[target.ids["t0"]] = 0
    model = tensors(len(source), 5, seed)
    scaled = {**model, EMBEDDING: model[EMBEDDING] * scale, OUTPUT_BIAS: model[OUTPUT_BIAS] * scale}
    scaled[OUTPUT_EMBEDDING] = scaled[EMBEDDING]
    one = apply(model, focus(source, target, auxiliary), seed=1).tensors
    other = apply(scaled, focus(source, target, auxiliary), seed=1).tensors
    for name in (EMBEDDING, OUTPUT_BIAS):
        assert torch.equal(one[name] * scale, other[name])


def test_copied_rows_and_other_tensors_are_the_same_bits():
    source, target = vocabularies(20, 4, 10)
    auxiliary = np.random.default_rng(1).normal(size=(len(target), 6)).astype(np.float32)
    model = tensors(len(source), 5, seed=1)
    model[EMBEDDING][source.ids["c3"], 0] = -0.0
    got = apply(model, focus(source, target, TokenVectors.of(auxiliary)), seed=1).tensors
    for token in [*SPECIALS, *(f"c{i}" for i in range(20))]:
        for name in (EMBEDDING, OUTPUT_BIAS):
            one, other = got[name][target.ids[token]], model[name][source.ids[token]]
            assert one.numpy().tobytes() == other.numpy().tobytes()
    assert got["other"] is model["other"]
    assert got[OUTPUT_EMBEDDING] is got[EMBEDDING]
    assert list(got) == list(model)


def test_bias_and_untied_output_are_mixed_like_the_embedding():
    source, target = vocabularies(20, 4, 10)
    auxiliary = np.random.default_rng(1).normal(size=(len(target), 6)).astype(np.float32)
    model = tensors(len(source), 5, seed=1)
    model[OUTPUT_EMBEDDING] = 2 * model[EMBEDDING]
    matrix = dense(focus(source, target, TokenVectors.of(auxiliary)), len(source))
    got = apply(model, focus(source, target, TokenVectors.of(auxiliary)), seed=1).tensors
    new = [target.ids[f"t{i}"] for i in range(10)]
    np.testing.assert_allclose(got[OUTPUT_BIAS].numpy()[new], (matrix @ model[OUTPUT_BIAS].numpy())[new], atol=1e-6)
    torch.testing.assert_close(got[OUTPUT_EMBEDDING][new], 2 * got[EMBEDDING][new])


def test_random_rows_have_the_moments_of_the_source_and_follow_the_seed():
    source, target = vocabularies(3, 2000, 20_000)
    model = tensors(len(source), 3, seed=1)
    model[EMBEDDING] = model[OUTPUT_EMBEDDING] = model[EMBEDDING] * torch.tensor([0.1, 1, 10]) + torch.tensor(
        [5, 0, -5]
    )
    done = apply(model, random(source, target), seed=4)
    got = done.tensors
    again = apply(model, random(source, target), seed=4).tensors
    other = apply(model, random(source, target), seed=5).tensors
    assert np.count_nonzero(done.origins.kind == FILLED) == 20_000
    assert torch.equal(got[EMBEDDING], again[EMBEDDING])
    assert not torch.equal(got[EMBEDDING], other[EMBEDDING])
    drawn = got[EMBEDDING][4:20_004]
    torch.testing.assert_close(drawn.mean(0), model[EMBEDDING].mean(0), atol=0.2, rtol=0.05)
    torch.testing.assert_close(drawn.std(0), model[EMBEDDING].std(0), atol=0, rtol=0.05)


def test_an_overlap_without_vectors_is_told():
    source, target = vocabularies(3, 2, 2)
    auxiliary = np.zeros((len(target), 4), dtype=np.float32)
    auxiliary[target.ids["t1"]] = 1
    with pytest.raises(FocusError, match=r"has an auxiliary embedding, so there is nothing to mix\. Check"):
        focus(source, target, TokenVectors.of(auxiliary))
    apart, _ = vocabularies(0, 5, 0)
    with pytest.raises(FocusError, match=r"only special tokens in common.* Check .*--match-fuzzy"):
        focus(apart, target, TokenVectors.of(auxiliary))


def test_rare_tokens_are_mixed_by_their_ngrams_but_are_no_anchors():
    source, target = vocabularies(3, 2, 2)
    rare = np.isin(target.tokens, ["c0", "t0"])
    auxiliary = TokenVectors(vectors(target, 4, 1).vectors, rare)
    mixed, kept = (focus(source, target, auxiliary, rare=rare) for rare in ("ngrams", "fill"))
    assert source.ids["c0"] not in mixed.anchors
    assert [target.tokens[i] for block in mixed.blocks for i in block.rows] == ["t0", "t1"]
    assert [target.tokens[i] for block in kept.blocks for i in block.rows] == ["t1"]


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e25])
def test_the_length_of_a_vector_does_not_matter(scale):
    source, target = vocabularies(30, 2, 8)
    auxiliary = vectors(target, 6, 1).vectors
    want = dense(focus(source, target, TokenVectors.of(auxiliary)), len(source))
    got = dense(focus(source, target, TokenVectors.of((auxiliary * np.float64(scale)).astype(np.float32))), len(source))
    np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("flat", [False, True])
def test_anchors_that_are_one_source_token_are_one_in_all_that_is_told(flat):
    """Under fuzzy matching; its weight is then what each of them has, together."""
    words = [f"w{i}" for i in range(12)]
    source = Vocabulary.of([*SPECIALS[:4], *(f"▁{word}" for word in words), MASK])
    new = ["▁new", "▁other"]
    target = Vocabulary.of([*SPECIALS[:4], *words, *(f"▁{word}" for word in words), *new, MASK])
    auxiliary = np.random.default_rng(3).normal(size=(len(target), 8)).astype(np.float32)
    if flat:
        auxiliary = auxiliary * 0.01 + 1
    done = apply(
        model := tensors(len(source), 6, 1), focus(source, target, TokenVectors.of(auxiliary), match_fuzzy=True), seed=1
    )
    np.testing.assert_array_equal(done.origins.support, np.diff(done.weights.indptr))
    for row in (target.ids[token] for token in new):
        matrix = done.weights[row].toarray()[0]
        shown = done.origins.anchors[row][done.origins.anchors[row] >= 0]
        assert len(set(shown)) == len(shown) == min(5, np.count_nonzero(matrix))
        np.testing.assert_array_equal(done.origins.weights[row][: len(shown)], np.sort(matrix)[::-1][: len(shown)])
        np.testing.assert_array_equal(matrix[shown], done.origins.weights[row][: len(shown)])
        anchors = [target.ids[t] for t in target.tokens if t[-1].isdigit()]
        unit = auxiliary / np.linalg.norm(auxiliary, axis=1, keepdims=True)
        each = sparsemax(torch.from_numpy(unit[anchors] @ unit[row]), dim=0).numpy()
        together = {name: each[words.index(name)] + each[12 + words.index(name)] for name in words}
        want = [together[token.strip("▁")] if token[-1].isdigit() else 0 for token in source.tokens]
        np.testing.assert_allclose(matrix, want, atol=1e-5)
        np.testing.assert_allclose(done.tensors[EMBEDDING][row], matrix @ model[EMBEDDING].numpy(), atol=1e-5)


def test_special_tokens_are_no_anchors():
    source, target = vocabularies(2, 0, 1)
    auxiliary = np.eye(len(target), dtype=np.float32)
    auxiliary[target.ids["t0"]] = auxiliary[target.ids["</s>"]]
    matrix = dense(focus(source, target, TokenVectors.of(auxiliary)), len(source))
    assert matrix[target.ids["t0"], source.ids["</s>"]] == 0


def test_the_transfer_works_on_a_checkpoint_as_read(release):
    checkpoint = read_checkpoint(release)
    same = apply(checkpoint.tensors, random(checkpoint.vocabulary, checkpoint.vocabulary), seed=1).tensors
    again = replace(checkpoint, tensors=same)
    assert all(torch.equal(again.tensors[name], value) for name, value in checkpoint.tensors.items())
