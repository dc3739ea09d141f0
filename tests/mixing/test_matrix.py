"""The mixing matrix in a file: kept, applied to another encoder, explained, with the real commands."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from invoked import refuse, run
from safetensors import safe_open
from safetensors.numpy import save_file
from sources import CONFIG
from tokenizer_kinds import KINDS

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import write_release
from focus_plugin.errors import FocusError
from focus_plugin.mixing.matrix import load_matrix, save_matrix

SMALL = ("--dim", 16, "--min-count", 5)


@pytest.fixture(scope="module")
def base(directory, release, vocabulary, target_text):
    output = directory / "matrix.base"
    given = ("--source", release, "--vocab", vocabulary, "--corpus", target_text, "--calibrate", 0)
    run("focus", "convert", *given, *SMALL, "--output", output)
    return output


@pytest.fixture(scope="module")
def larger(directory, release):
    """Another encoder of the same source vocabulary, with other rows."""
    source, path = read_checkpoint(release), directory / "larger"
    rows = torch.randn(source.tensors[EMBEDDING].shape, generator=torch.Generator().manual_seed(9))
    tensors = {**source.tensors, EMBEDDING: rows, OUTPUT_EMBEDDING: rows, OUTPUT_BIAS: rows[:, 0].clone()}
    path.mkdir()
    write_release(path, CONFIG, tensors, release / "dict.txt", release / "sentencepiece.bpe.model")
    return path


def test_a_kept_matrix_gives_what_the_vectors_give(base, larger, vocabulary, target_text, tmp_path):
    given = ("--source", larger, "--vocab", vocabulary, "--calibrate", 0)
    run("focus", "convert", *given, "--corpus", target_text, *SMALL, "--output", tmp_path / "direct")
    run("focus", "convert", *given, "--matrix", base / "mixing.safetensors", "--output", tmp_path / "applied")
    direct, applied = (read_checkpoint(tmp_path / name).tensors for name in ("direct", "applied"))
    for name in (EMBEDDING, OUTPUT_BIAS):
        torch.testing.assert_close(applied[name], direct[name], atol=1e-6, rtol=0)


def test_a_matrix_is_the_same_after_a_file_and_the_file_the_same_every_time(base, tmp_path):
    matrix = load_matrix(base / "mixing.safetensors")
    save_matrix(tmp_path / "again.safetensors", matrix)
    assert (tmp_path / "again.safetensors").read_bytes() == (base / "mixing.safetensors").read_bytes()
    mixed = np.diff(matrix.weights.indptr) > 0
    assert mixed.sum() > 50
    assert not (mixed & (matrix.copied >= 0)).any()
    assert (matrix.weights.data > 0).all()
    np.testing.assert_allclose(matrix.weights.sum(axis=1)[mixed], 1, atol=1e-5)


def test_another_vocabulary_is_refused(base, release, directory, target_text, tmp_path):
    run("focus", "vocab", "--input", target_text, "--size", 300, "--output", tmp_path / "other")
    command = ("focus", "convert", "--source", release, "--vocab", tmp_path / "other", "--output", tmp_path / "x")
    said = refuse(*command, "--matrix", base / "mixing.safetensors", says="was made for another target vocabulary")
    assert "the first difference is" in said
    assert not (tmp_path / "x").exists()


def test_damaged_and_foreign_files_are_refused(base, release, vocabulary, tmp_path):
    whole = (base / "mixing.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    command = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--output", tmp_path / "x")
    refuse(*command, "--matrix", tmp_path / "cut.safetensors", says="damaged or not a mixing matrix")
    refuse(*command, "--matrix", base / "model.pt", says="damaged or not a mixing matrix")
    refuse("focus", "explain", tmp_path / "none", "▁x", says="no such file")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weights": lambda a: a.astype(np.float64)}, "its array weights is float64"),
        ({"copied": lambda a: a.astype(np.float32)}, "its array copied is float32"),
        ({"weights": lambda a: a * 2}, "do not sum to 1"),
        ({"weights": lambda a: a - 2 * a * (np.arange(len(a)) == 0)}, "negative or do not sum"),
        ({"copied": lambda a: np.where(a < 0, 7, a)}, "two of copied, mixed and learned"),
        ({"columns": lambda a: a + 10_000}, "damaged"),
        ({"offsets": lambda a: a[:-1]}, "damaged"),
        ({"similarity": lambda a: np.where(np.arange(len(a)) == 9, np.inf, a)}, "it holds infinity"),
        ({"weights": lambda a: np.where(np.arange(len(a)) == 9, np.nan, a)}, "NaN as a weight"),
        ({"learned": lambda a: np.ones_like(a)}, "two of copied, mixed and learned"),
        ({"learned": lambda a: a[1:]}, "its parts have different lengths"),
    ],
)
def test_what_is_no_mixing_matrix_is_refused(base, tmp_path, changes, says):
    changed(base, tmp_path / "x.safetensors", changes)
    with pytest.raises(FocusError, match=says):
        load_matrix(tmp_path / "x.safetensors")


def changed(base, path, changes):
    """The matrix of ``base`` with some of its arrays changed."""
    with safe_open(base / "mixing.safetensors", "numpy") as file:
        held, names = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    arrays = {name: np.ascontiguousarray(changes.get(name, np.copy)(array)) for name, array in held.items()}
    save_file(arrays, path, names)


def test_a_foreign_matrix_without_similarities_is_applied_explained_and_reported(base, release, vocabulary, tmp_path):
    path = tmp_path / "foreign.safetensors"
    changed(base, path, {"similarity": lambda a: np.full_like(a, np.nan)})
    given = ("--source", release, "--vocab", vocabulary)
    run("focus", "convert", *given, "--matrix", path, "--output", tmp_path / "out")
    want = read_checkpoint(base).tensors[EMBEDDING]
    torch.testing.assert_close(read_checkpoint(tmp_path / "out").tensors[EMBEDDING], want, atol=1e-6, rtol=0)
    matrix = load_matrix(path)
    token = matrix.target[int(np.diff(matrix.weights.indptr).argmax())]
    assert "cosine" not in run("focus", "explain", tmp_path / "out", token).stdout
    page = (tmp_path / "out" / "report.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script', page, re.S)[1])
    assert data["figures"]["similarities"] == []
    assert {similarity for _, similarity, *_ in data["tokens"]["mixtures"]} == {None}


def test_weights_of_either_sign_are_kept_if_the_file_says_so(base, tmp_path):
    matrix = load_matrix(base / "mixing.safetensors")
    signed = matrix.weights.copy()
    signed.data = (2 * signed.data - 0.05).astype(np.float32)
    save_matrix(tmp_path / "x.safetensors", replace(matrix, weights=signed, convex=False))
    again = load_matrix(tmp_path / "x.safetensors")
    assert not again.convex
    assert (again.weights.data < 0).any()
    np.testing.assert_array_equal(again.weights.toarray(), signed.toarray())


def test_a_matrix_that_lacks_learned_rows_is_not_applied(base, release, vocabulary, tmp_path):
    matrix = load_matrix(base / "mixing.safetensors")
    learned = (matrix.copied < 0) & (np.diff(matrix.weights.indptr) == 0)
    save_matrix(tmp_path / "x.safetensors", replace(matrix, learned=learned))
    command = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--output", tmp_path / "out")
    refuse(
        *command, "--matrix", tmp_path / "x.safetensors", says=f"{learned.sum()} of its tokens have rows that a method"
    )
    token = matrix.target[int(np.flatnonzero(learned)[0])]
    said = run("focus", "explain", tmp_path / "x.safetensors", token).stdout
    assert said.startswith(f"{token}: learned; the method made its row with the source model's help")


def test_mixtures_too_many_to_keep_are_told(base, tmp_path):
    shutil.copy(base / "focus.json", tmp_path)
    said = refuse("focus", "explain", tmp_path, "▁x", says="were too large to be saved")
    assert str(tmp_path) in said


def test_explain_lists_copied_mixed_and_filled_tokens(base):
    matrix = load_matrix(base / "mixing.safetensors")
    support = np.diff(matrix.weights.indptr)
    copied, mixed = int(np.flatnonzero(matrix.copied >= 4)[0]), int(support.argmax())
    said = run("focus", "explain", base, matrix.target[copied], matrix.target[mixed]).stdout
    assert f"{matrix.target[copied]}: copied from {matrix.source[matrix.copied[copied]]}." in said
    assert f"{matrix.target[mixed]}: a mixture of {support[mixed]};" in said
    weights = [float(weight) for weight in re.findall(r"^ +(0\.\d{4})  ", said, re.MULTILINE)]
    assert len(weights) == support[mixed]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(1, abs=1e-4 * len(weights))


def test_an_unknown_token_is_told_with_the_word_start_it_lacks(base):
    known = set(load_matrix(base / "mixing.safetensors").target)
    token = min(token for token in known if len(token) > 3 and token[0] == "▁" and token[1:] not in known)
    assert "there is" not in refuse("focus", "explain", base, token[1:] + "▁", says="has no token")
    refuse("focus", "explain", base, token[1:], says=f"there is {token!r}")


@pytest.mark.parametrize("kind", ["byte-level", "wordpiece"])
def test_tokens_of_every_tokenizer_can_be_written_with_word_starts(release, target_text, tmp_path, kind):
    """In bytes, a word beyond ASCII cannot be read or typed."""
    words = target_text.read_text(encoding="utf-8").split()
    KINDS[kind]([" ".join(words), *["ка ка"] * 99], 700).save(str(tmp_path / "tokenizer.json"))
    vocab = ("--tokenizer", tmp_path / "tokenizer.json", "--input", target_text)
    run("focus", "vocab", *vocab, "--output", tmp_path / "vocab")
    given = ("--source", release, "--vocab", tmp_path / "vocab", "--method", "pieces")
    run("focus", "convert", *given, "--output", tmp_path / "out")
    own = {"byte-level": "".join(map(chr, (0x120, 0xD0, 0xBA, 0xD0, 0xB0))), "wordpiece": "ка"}[kind]
    said = run("focus", "explain", tmp_path / "out", own).stdout
    assert said.startswith(f"{own}: ")
    assert run("focus", "explain", tmp_path / "out", "▁ка").stdout == said
    if kind == "byte-level":
        refuse("focus", "explain", tmp_path / "out", "ка", says="Words start with ▁: there is '▁ка'")
