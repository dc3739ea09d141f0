"""Vectors of words from files of every format, and what they give the tokens of a vocabulary."""

import gzip
import random
from functools import partial
from pathlib import Path

import fasttext
import numpy as np
import pytest
from gensim.models import KeyedVectors
from tokenizer_kinds import byte_level, unigram

from focus_plugin.auxiliary import word_vectors
from focus_plugin.auxiliary.fasttext_files import load_fasttext
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.auxiliary.word_vectors import read_word_vectors, vectors_by_ngrams, vectors_by_words
from focus_plugin.auxiliary.words import load_word_vectors
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.readers import read_tokenizer_json
from focus_plugin.vocabulary.tokenizers import hugging_face_tokenizer
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary

SMALL = "3 2\nwatu 1 2\nni 3 -4e-1\nmtu 0.5 6\n"


@pytest.fixture(scope="module")
def model(source_text, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.bin"
    trained = fasttext.train_unsupervised(
        str(source_text), model="cbow", dim=16, minCount=3, lr=0.02, thread=1, verbose=0
    )
    trained.save_model(str(path))
    return path


def as_text(path: Path, model: fasttext.FastText._FastText) -> Path:
    lines = [f"{len(model.words)} {model.get_dimension()}"]
    lines += [f"{word} {' '.join(map(repr, map(float, model.get_word_vector(word))))}" for word in model.words]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", ["w.vec", "w.vec.gz", "w.txt", "w.txt.gz"])
@pytest.mark.parametrize("content", [SMALL, SMALL.replace("\n", " \r\n"), "\ufeff" + SMALL])
def test_text_formats(tmp_path, name, content):
    raw = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    found = read_word_vectors(tmp_path / name)
    assert [*found.words] == ["watu", "ni", "mtu"]
    assert found.of_text is None
    np.testing.assert_allclose(found.rows(np.array([2, 0])), [[0.5, 6], [1, 2]])
    np.testing.assert_allclose(found.counts, [1, 1 / 2, 1 / 3])
    target = Vocabulary.of([*SPECIALS[:4], "▁mtu", "ni", SPECIALS[4]])
    np.testing.assert_allclose(load_word_vectors(tmp_path / name, target).vectors[4:6], [[0.5, 6], [3, -0.4]])
    by_token = load_vectors(tmp_path / name, Vocabulary.of([*SPECIALS[:4], "mtu", "ni", "watu"])).vectors
    np.testing.assert_allclose(by_token[4:], [[0.5, 6], [3, -0.4], [1, 2]])


def test_a_model_and_its_text_format_have_the_same_vectors(model, tmp_path):
    trained = fasttext.load_model(str(model))
    found, text = read_word_vectors(model), read_word_vectors(as_text(tmp_path / "w.vec", trained))
    assert [*found.words] == [*text.words] == [word for word in trained.words if word != "</s>"]
    assert found.dimension == text.dimension == 16
    np.testing.assert_array_equal(
        found.counts, np.delete(trained.get_words(include_freq=True)[1], trained.get_word_id("</s>"))
    )
    order = np.random.default_rng(1).permutation(len(found.words))[:50]
    np.testing.assert_allclose(found.rows(order), text.rows(order), atol=1e-6)
    assert found.rows(order[:0]).shape == text.rows(order[:0]).shape == (0, 16)


def test_ngrams_give_every_text_a_vector(model):
    target = Vocabulary.of([*SPECIALS[:4], "▁shuleni", "shuleni", "▁", "▁<0xC3>", "▁a b", SPECIALS[4]])
    matrix, trained = vectors_by_ngrams(read_word_vectors(model), target), fasttext.load_model(str(model))
    for token, text in (("▁shuleni", "shuleni"), ("shuleni", "shuleni"), ("▁a b", "a b"), ("<s>", "<s>")):
        np.testing.assert_array_equal(matrix[target.ids[token]], trained.get_word_vector(text))
    assert not matrix[[target.ids["▁"], target.ids["▁<0xC3>"]]].any()


@pytest.mark.parametrize("kind", [unigram, byte_level])
def test_tokens_are_the_weighted_mean_of_the_words_that_contain_them(kind, model, source_text, tmp_path, monkeypatch):
    lines = source_text.read_text().splitlines()
    library = kind(random.Random(1).sample(lines, 1000), 400)
    library.save(str(tmp_path / "tokenizer.json"))
    vocabulary, found = read_tokenizer_json(tmp_path / "tokenizer.json"), read_word_vectors(model)
    want, weight = np.zeros((len(vocabulary), 16)), np.zeros(len(vocabulary))
    for word, count, row in zip(found.words, found.counts, found.rows(np.arange(len(found.words))), strict=True):
        for text in (word, f" {word}"):
            for token in set(library.encode(text, add_special_tokens=False).ids):
                want[token] += count * row
                weight[token] += count
    want = np.divide(want, weight[:, None], out=want, where=weight[:, None] > 0)
    monkeypatch.setattr(word_vectors, "BATCH_LINES", 100)
    matrix = vectors_by_words(found, vocabulary, hugging_face_tokenizer(tmp_path / "tokenizer.json"))
    np.testing.assert_allclose(matrix, want, atol=1e-5)
    assert 0 < (~matrix.any(axis=1)).sum() < 300


def test_words_that_no_text_has_and_repeated_words_are_left_out_as_by_gensim(tmp_path):
    draw = np.random.default_rng(1).standard_normal((300, 3)).round(3)
    names = [f"w{number}".encode() for number in range(298)] + [b"w7", b"w\xe9"]
    lines = [name + b" " + " ".join(map(str, row)).encode() for name, row in zip(names, draw, strict=True)]
    path = tmp_path / "w.vec"
    path.write_bytes(b"300 3\n" + b"\n".join(lines) + b"\n")
    found, gensim = read_word_vectors(path), KeyedVectors.load_word2vec_format(str(path), unicode_errors="replace")
    assert list(found.words) == [word for word in gensim.index_to_key if word and "\ufffd" not in word]
    for number, word in enumerate(found.words):
        np.testing.assert_array_equal(found.rows(np.array([number]))[0], gensim[word])
    assert found.note == f"{path}: left out 2 words that are not valid UTF-8 or occur again."


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("w.npz", b"", "are read from .bin, .vec, .vec.gz, .txt, .txt.gz files"),
        ("w.bin", b"x", "damaged or not a fastText model"),
        ("w.vec", b"2 2\na 1 2\nb 1\n", "line 3: expected a token and 2 numbers"),
        ("w.vec", b"2 2\na 1 2\nb 1 nan\n", "line 3: the vector of 'b' holds NaN or infinity"),
        ("w.vec", b"2 2\na 1e39 2\nb 1 2\n", "line 2: the vector of 'a' holds NaN or infinity"),
        ("w.vec", "3 2\na 1 2\né 1 2\nb 1 3\n".encode("latin-1"), "1 of its 3 words are not valid UTF-8"),
        ("w.vec", b"3 2\na 1 2\nb 1 2", "its first line says 3 words, but it has 2"),
        ("w.vec", b"0 2\n", "has no words"),
        ("w.txt", b"a 1 2\n", "line 1: expected the number of tokens and the dimension"),
        ("w.txt", b"\xff 2\n", "line 1: not valid UTF-8"),
        ("w.vec.gz", gzip.compress(SMALL.encode(), mtime=0)[:-12], "w.vec.gz"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FocusError, match=says):
        read_word_vectors(tmp_path / name)


def test_a_model_with_nan_is_refused(model, tmp_path):
    """fastText itself reads such a model, and NumPy's decomposition then fails."""
    row = fasttext.load_model(str(model)).get_input_matrix()[3].tobytes()
    (path := tmp_path / "w.bin").write_bytes(model.read_bytes().replace(row, row[:4] + b"\0\0\xc0\x7f" + row[8:]))
    for read in (read_word_vectors, load_fasttext):
        with pytest.raises(FocusError, match=r"w\.bin: damaged or not a fastText model \(it holds NaN or infinity\)"):
            read(path)


def test_a_truncated_file_is_refused_as_by_gensim(model, tmp_path):
    """Without its last lines, a file differs from a whole one only in its first line."""
    whole = as_text(tmp_path / "whole.vec", fasttext.load_model(str(model))).read_text().splitlines(keepends=True)
    (path := tmp_path / "w.vec").write_text("".join(whole[:-3]))
    with pytest.raises(EOFError):
        KeyedVectors.load_word2vec_format(str(path))
    target = Vocabulary.of([*SPECIALS[:4], *(line.split()[0] for line in whole[20:28]), SPECIALS[4]])
    for read in (read_word_vectors, partial(load_word_vectors, target=target), partial(load_vectors, target=target)):
        with pytest.raises(FocusError, match=rf"w\.vec: its first line says {len(whole) - 1} words, but it has"):
            read(path)
