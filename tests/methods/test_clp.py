"""``--method clp``: rows against the paper in NumPy, on two kinds of tokenizers, and the command with a helper."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from invoked import refuse, run
from mixing_inputs import by_vectors, dense, tensors, two_of_a_kind, vectors, vocabularies
from sklearn.metrics.pairwise import cosine_similarity
from tokenizer_kinds import byte_level, wordpiece

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.methods.clp import METHOD
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.origins import FILLED, MIXED
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.vocabulary import Vocabulary


def paper(source: Vocabulary, target: Vocabulary, helper: np.ndarray, rows: np.ndarray) -> dict[int, np.ndarray]:
    """The new rows by id: the weighted means over all overlapping tokens, special ones included."""
    source_ids = {form: i for i, form in enumerate(source.forms)}
    overlap = [i for i, form in enumerate(target.forms) if form in source_ids]
    anchors = rows[[source_ids[target.forms[i]] for i in overlap]]
    new = [i for i in range(len(target)) if i not in overlap]
    similarity = cosine_similarity(helper[new].astype(np.float64), helper[overlap].astype(np.float64))
    return {i: np.average(anchors, axis=0, weights=row / row.sum()) for i, row in zip(new, similarity, strict=True)}


@pytest.mark.parametrize("kind", [byte_level, wordpiece])
def test_rows_are_those_of_the_paper(kind, tmp_path):
    source, target = two_of_a_kind(kind, tmp_path)
    helper = np.random.default_rng(1).normal(0.5, 1, (len(target), 12)).astype(np.float32)
    model = tensors(len(source), 6, 1)
    mixing = by_vectors(METHOD, source, target, TokenVectors.of(helper), special_anchors=True)
    done = apply(model, mixing, seed=1)
    want = paper(source, target, helper, model[EMBEDDING].numpy().astype(np.float64))
    assert len(want) > 40
    matrix = done.weights[[*want]].toarray()
    for weights, (i, row) in zip(matrix, want.items(), strict=True):
        near = max(1e-5, 1e-6 * np.abs(weights).sum())  # weights that cancel multiply what is rounded
        np.testing.assert_allclose(done.tensors[EMBEDDING][i].numpy(), row, atol=near, rtol=near)
    assert (np.count_nonzero(matrix, axis=1) == np.count_nonzero(mixing.copied >= 0)).all()
    assert (matrix < 0).any()
    assert not done.convex


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 30), st.integers(0, 10**6))
def test_weights_sum_to_one_and_blocks_change_nothing(common, only_target, seed):
    source, target = vocabularies(common, 5, only_target)
    auxiliary = vectors(target, 4, seed).vectors + 1
    matrix = dense(by_vectors(METHOD, source, target, TokenVectors.of(auxiliary)), len(source))
    made = matrix.any(axis=1)
    np.testing.assert_allclose(matrix[made].sum(axis=1), 1, atol=1e-3)
    assert not matrix[:, source.special].any()
    np.testing.assert_array_equal(made, np.char.startswith(target.tokens, "t"))


def test_similarities_that_cancel_are_left_to_the_fill():
    source, target = vocabularies(2, 0, 2)
    auxiliary = np.zeros((len(target), 2), dtype=np.float32)
    for token, vector in {"c0": (1, 0), "c1": (-1, 0), "t0": (1, 0), "t1": (1, 1)}.items():
        auxiliary[target.ids[token]] = vector
    done = apply(tensors(len(source), 4, 1), by_vectors(METHOD, source, target, TokenVectors.of(auxiliary)), seed=1)
    assert [done.origins.kind[target.ids[token]] for token in ("t0", "t1")] == [FILLED, FILLED]
    auxiliary[target.ids["c1"]] = (-1, 3)
    done = apply(tensors(len(source), 4, 1), by_vectors(METHOD, source, target, TokenVectors.of(auxiliary)), seed=1)
    assert done.origins.kind[target.ids["t1"]] == MIXED


def test_the_command_with_a_helper(release, vocabulary, target_text, tmp_path):
    """The helper is an encoder of the target vocabulary, here one of another conversion; the bias is calibrated."""
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary)
    run(*base, "--method", "random", "--seed", 3, "--output", tmp_path / "helper")
    job = (*base, "--method", "clp", "--auxiliary", tmp_path / "helper")
    run(*job, "--paper", "--output", tmp_path / "paper")
    run(*job, "--corpus", target_text, "--output", tmp_path / "out")
    source, helper = read_checkpoint(release), read_checkpoint(tmp_path / "helper")
    made, ours = (read_checkpoint(tmp_path / name) for name in ("paper", "out"))
    want = paper(
        source.vocabulary,
        made.vocabulary,
        helper.tensors[EMBEDDING].numpy(),
        source.tensors[EMBEDDING].double().numpy(),
    )
    scale = max(np.abs(row).max() for row in want.values())
    assert len(want) > 100
    for i, row in want.items():
        np.testing.assert_allclose(made.tensors[EMBEDDING][i].numpy(), row, atol=1e-5 * max(scale, 1), rtol=1e-3)
    assert not torch.equal(ours.tensors[OUTPUT_BIAS], made.tensors[OUTPUT_BIAS])
    inputs = json.loads((tmp_path / "out" / "focus.json").read_text())["inputs"]
    assert {"auxiliary/model.pt", "auxiliary/dict.txt"} <= inputs.keys()
    token = made.vocabulary.tokens[next(iter(want))]
    assert "of them with negative weights" in run("focus", "explain", tmp_path / "paper", token).stdout
    report = (tmp_path / "out" / "report.html").read_text()
    assert "The weights of a mixture can be negative" in report
    assert "Mixtures are dense" in report


def test_rows_that_are_much_too_long_are_told(release, vocabulary, tmp_path):
    """The similarities of random vectors have both signs, so sums of them can be almost zero."""
    dictionary, size = read_dictionary(vocabulary / "dict.txt"), 12
    drawn = np.random.default_rng(1).normal(size=(len(dictionary), size)).astype(np.float32)
    helper, output = tmp_path / "helper.npz", tmp_path / "out"
    np.savez(helper, tokens=np.array(dictionary.tokens), vectors=drawn)
    job = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "clp", "--auxiliary", helper)
    said = run(*job, "--skip-tokenizer-check", "--output", output).stdout
    source, made = (read_checkpoint(path).tensors[EMBEDDING].norm(dim=1) for path in (release, output))
    longest = float(source.max())
    count = int((made > 10 * longest).sum())
    assert count
    assert f"Warning: the rows of {count:,} tokens by clp are more than 10 times as long" in said
    assert f"the longest {float(made.max()) / longest:,.0f} times" in said
    assert "Warning" not in run(*job[:-4], "--method", "scripts", "--output", tmp_path / "scripts").stdout


def test_an_encoder_with_another_vocabulary_is_no_helper(release, vocabulary, tmp_path):
    job = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "clp")
    refuse(*job, "--auxiliary", release, "--output", tmp_path / "out", says="its vocabulary lacks")
    (tmp_path / "empty").mkdir()
    refuse(*job, "--auxiliary", tmp_path / "empty", "--output", tmp_path / "out", says="has neither model.pt")
    run(*job, "--auxiliary", release, "--skip-tokenizer-check", "--output", tmp_path / "out")
