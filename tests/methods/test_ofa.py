"""``--method ofa`` against the arithmetic of its authors' software, written again with NumPy and the libraries."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from invoked import refuse_all, run
from mixing_inputs import dense
from tokenizer_kinds import byte_level, unigram, wordpiece
from tokenizers import Tokenizer

from focus_plugin.auxiliary.word_vectors import read_word_vectors
from focus_plugin.errors import FocusError
from focus_plugin.methods.ofa import METHOD, OfaOptions
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.matrix import load_matrix
from focus_plugin.vocabulary.readers import read_tokenizer_json
from focus_plugin.vocabulary.tokenizers import hugging_face_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary

KINDS = {
    "unigram to unigram": (unigram, unigram),
    "byte-level to unigram": (byte_level, unigram),
    "unigram to byte-level": (unigram, byte_level),
}
WORD_FORMS = ["{}", "swa:{}", "swa:${}$", "eng:${}", "swa:{}$"]


@dataclass(frozen=True)
class Case:
    source: Path
    target: Path
    words: Path

    def given(self, words: Path | None = None, **options: object) -> Given:
        return Given(
            source=read_tokenizer_json(self.source),
            target=read_tokenizer_json(self.target),
            source_tokenizer=hugging_face_tokenizer(self.source),
            target_tokenizer=hugging_face_tokenizer(self.target),
            options=OfaOptions(**options),
            files={"multilingual_vectors": read_word_vectors(words or self.words)},
        )


@pytest.fixture(scope="module", params=KINDS)
def case(request, source_text, tmp_path_factory) -> Case:
    """Two tokenizers of words in several cases, and vectors of these words as the paper writes them."""
    directory, draw = tmp_path_factory.mktemp("ofa"), random.Random(1)
    words = sorted({word for word in source_text.read_text().split() if word.isalpha()})
    for name, train, size in zip(("source", "target"), KINDS[request.param], (500, 700), strict=True):
        cases = [
            draw.choice([str.lower, str.upper, str.capitalize])(word)
            for word in draw.sample(words, len(words) * 2 // 3)
        ]
        lines = [" ".join(cases[i : i + 10]) for i in range(0, len(cases), 10)]
        train(lines, size).save(str(directory / f"{name}.json"))
    spelled = [draw.choice(WORD_FORMS).format(word) for word in words]
    vectors = np.random.default_rng(1).normal(size=(len(spelled), 12)).astype(np.float32)
    rows = (f"{word} {' '.join(map(str, row))}\n" for word, row in zip(spelled, vectors, strict=True))
    (directory / "words.vec").write_text(f"{len(spelled)} 12\n{''.join(rows)}")
    return Case(directory / "source.json", directory / "target.json", directory / "words.vec")


def subword_vectors(library: Tokenizer, words: Path) -> np.ndarray:
    """get_subword_embeddings_in_word_embedding_space of ofa/utils.py, with its lists of words."""
    found = read_word_vectors(words)
    vectors, lists = found.rows(np.arange(len(found.words))), [[] for _ in range(library.get_vocab_size())]
    for i, word in enumerate(found.words):
        original = word[4:] if len(word) > 4 and word[3] == ":" else word
        text = original.replace("$", " ")
        spelled = [text, " " + text]
        if original[0] == "$":
            spelled.append(text[1].upper() + text[2:])
        else:
            spelled.append(" " + text[0].upper() + text[1:])
        for one in spelled:
            for token in set(library.encode(one, add_special_tokens=False).ids):
                lists[token].append(i)
    return np.array([vectors[ids].mean(0) if ids else np.zeros(vectors.shape[1]) for ids in lists])


def in_our_order(matrix: np.ndarray, library: Tokenizer, vocabulary: Vocabulary) -> np.ndarray:
    return matrix[[library.token_to_id(token) for token in vocabulary.tokens]]


def expected_overlap(source: Vocabulary, target: Vocabulary) -> np.ndarray:
    """get_overlapping_tokens of ofa/utils.py with fuzzy_search, by canonical forms."""
    exact = {form: i for i, form in enumerate(source.forms)}
    lower = {form.lower(): i for form, i in sorted(exact.items())}
    return np.array([exact.get(form, lower.get(form.lower(), -1)) for form in target.forms])


def test_every_weight_is_that_of_the_authors_software(case):
    given = case.given()
    mixing = METHOD.make(given)
    found = dense(mixing, len(given.source))
    np.testing.assert_array_equal(mixing.copied, expected_overlap(given.source, given.target))
    sides = ((case.source, given.source), (case.target, given.target))
    source, target = (
        in_our_order(subword_vectors(library, case.words), library, vocabulary)
        for library, vocabulary in ((Tokenizer.from_file(str(path)), vocabulary) for path, vocabulary in sides)
    )
    source[given.source.special] = 0  # <unk> is in words that the source cannot write
    unit = source / np.maximum(np.linalg.norm(source, axis=1, keepdims=True), 1e-30)
    checked = 0
    for i in np.flatnonzero((mixing.copied < 0) & ~given.target.special):
        if not target[i].any():
            assert not found[i].any()
            continue
        similar = unit @ (target[i] / np.linalg.norm(target[i]))
        order = np.argsort(-similar)
        if similar[order[9]] - similar[order[10]] < 1e-6:
            continue  # two tokens that are in the same words: which is the tenth is open
        want = np.zeros(len(given.source))
        want[order[:10]] = np.exp(similar[order[:10]] / 0.1) / np.exp(similar[order[:10]] / 0.1).sum()
        np.testing.assert_allclose(found[i], want, atol=1e-5, err_msg=given.target.tokens[i])
        checked += 1
    assert checked > 30


def test_tokens_that_differ_in_case_overlap_but_not_those_that_differ_in_word_start(case):
    given = case.given()
    copied, forms = METHOD.make(given).copied, given.source.forms
    pairs = [(given.target.forms[i], forms[copied[i]]) for i in np.flatnonzero(copied >= 0)]
    assert any(one != other for one, other in pairs)
    assert all(one.lower() == other.lower() for one, other in pairs)
    fuzzy = METHOD.make(case.given(match_fuzzy=True)).copied
    assert (fuzzy >= 0).sum() > (copied >= 0).sum()
    np.testing.assert_array_equal(fuzzy[copied >= 0], copied[copied >= 0])


def test_neighbors_and_temperature_do_what_they_say(case):
    given = case.given(neighbors=3, temperature=0.01)
    few = dense(METHOD.make(given), len(given.source))
    many = dense(METHOD.make(case.given()), len(given.source))
    mixed = few.any(1)
    assert set((few > 0).sum(1)[mixed]) <= {1, 2, 3}  # less than three if a weight is too small for float32
    assert few.max(1)[mixed].mean() > many.max(1)[mixed].mean() + 0.1
    everything = dense(METHOD.make(case.given(neighbors=100_000)), len(given.source))
    np.testing.assert_allclose(everything[mixed].sum(1), 1, atol=1e-5)


def test_vectors_of_words_that_the_source_cannot_write_are_refused(source_text, tmp_path):
    wordpiece(source_text.read_text().splitlines(), 200).save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "other.vec").write_text("1 2\nяблоко 0.5 1\n", encoding="utf-8")
    given = Case(tmp_path / "tokenizer.json", tmp_path / "tokenizer.json", tmp_path / "other.vec").given()
    with pytest.raises(FocusError, match="No token of the source is in a word of --multilingual-vectors"):
        METHOD.make(given)


def test_vectors_of_words_that_the_target_cannot_write_are_refused(source_text, tmp_path):
    (tmp_path / "яблоко.txt").write_text("яблоко и груша\n" * 50, encoding="utf-8")
    for name, lines in (("source", source_text), ("target", tmp_path / "яблоко.txt")):
        wordpiece(lines.read_text().splitlines(), 200).save(str(tmp_path / f"{name}.json"))
    word = next(word for word in source_text.read_text().split() if word.isalpha())
    (tmp_path / "other.vec").write_text(f"1 2\n{word} 0.5 1\n", encoding="utf-8")
    given = Case(tmp_path / "source.json", tmp_path / "target.json", tmp_path / "other.vec").given()
    with pytest.raises(FocusError, match="No token of the target is in a word of --multilingual-vectors"):
        METHOD.make(given)


def test_the_command_makes_and_refuses(release, vocabulary, source_text, tmp_path):
    words = sorted(set(source_text.read_text().split()))[:400]
    values = np.random.default_rng(2).normal(size=(len(words), 4))
    rows = (f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, values, strict=True))
    (tmp_path / "words.txt").write_text(f"{len(words)} 4\n{''.join(rows)}")
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "ofa")
    run(*base, "--multilingual-vectors", tmp_path / "words.txt", "--output", tmp_path / "out")
    matrix = load_matrix(tmp_path / "out" / "mixing.safetensors")
    token = matrix.target[int(np.flatnonzero(np.diff(matrix.weights.indptr))[0])]
    said = run("focus", "explain", tmp_path / "out", token).stdout
    assert said.startswith(f"{token}: a mixture of 10; the most similar has a cosine of ")
    (tmp_path / "nan.vec").write_text("1 2\nword nan 1\n")
    given = (*base, "--output", tmp_path / "refused", "--multilingual-vectors")
    refuse_all(
        ((*given, tmp_path / "nan.vec"), "holds NaN or infinity"),
        ((*given, tmp_path / "absent.vec"), "no such file"),
        ((*given, source_text), "line 1"),
    )
    assert not (tmp_path / "refused").exists()
