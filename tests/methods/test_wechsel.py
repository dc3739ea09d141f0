"""``--method wechsel``: every row against the authors' package, with vectors of both kinds, and the command."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import fasttext
import numpy as np
import pytest
import torch
import wechsel
from invoked import refuse, run
from mixing_inputs import tensors
from scipy.linalg import orthogonal_procrustes
from sources import SYLLABLES, write_text
from tokenizer_kinds import BERT, SPECIALS, byte_level, unigram, wordpiece
from transformers import PreTrainedTokenizerFast

from focus_plugin.auxiliary.word_vectors import WordVectors, read_word_vectors
from focus_plugin.bilingual.words import WordPairs, read_word_pairs
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.methods.wechsel import METHOD
from focus_plugin.mixing.declaration import Given
from focus_plugin.text import Text
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.origins import COPIED, FILLED, MIXED
from focus_plugin.vocabulary.readers import read_tokenizer_json
from focus_plugin.vocabulary.tokenizers import Tokenizer, hugging_face_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary

DIMENSION = 16
NAMES = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")


@dataclass(frozen=True)
class Language:
    """Text of one language with vectors of its words."""

    text: Path
    words: Path

    @property
    def model(self) -> fasttext.FastText._FastText:
        return fasttext.load_model(str(self.words))


@pytest.fixture(scope="module")
def languages(tmp_path_factory) -> tuple[Language, Language]:
    root, made = tmp_path_factory.mktemp("languages"), []
    for name, seed in (("source", 1), ("target", 2)):
        text = write_text(root / f"{name}.txt", 2500, seed)
        model = fasttext.train_unsupervised(
            str(text), model="cbow", dim=DIMENSION, minCount=2, lr=0.02, thread=1, verbose=0
        )
        model.save_model(str(root / f"{name}.bin"))
        made.append(Language(text, root / f"{name}.bin"))
    return made[0], made[1]


@pytest.fixture(scope="module")
def dictionary(languages, tmp_path_factory) -> Path:
    """Pairs of words at random, in other spellings, with unknown words, repetitions and lines to leave out."""
    draw, (source, target) = random.Random(3), languages
    old, new = ([word for word in side.model.words if word.isalpha()] for side in (source, target))
    pairs = [(draw.choice(old), draw.choice(new)) for _ in range(400)]
    pairs += [(word.upper(), other) for word, other in pairs[:50]] + [("absent", "nowhere"), *pairs[:9]]
    (path := tmp_path_factory.mktemp("pairs") / "d.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs))
    return path


@dataclass(frozen=True)
class Side:
    """A vocabulary with its tokenizer, for us and for the authors' package."""

    vocabulary: Vocabulary
    tokenizer: Tokenizer
    theirs: PreTrainedTokenizerFast


def side(kind, language: Language, size: int, path: Path) -> Side:
    library = kind(language.text.read_text().splitlines(), size)
    library.save(str(path))
    names = SPECIALS if kind is not wordpiece else [BERT[i] for i in (2, 0, 3, 1, 4)]
    settings = {"add_prefix_space": True, **dict(zip(NAMES, names, strict=True))}  # without it, it takes the space away
    theirs = PreTrainedTokenizerFast(tokenizer_object=library, **settings)
    return Side(read_tokenizer_json(path), hugging_face_tokenizer(path), theirs)


def given_of(source: Side, target: Side, words: tuple[WordVectors, WordVectors], pairs: WordPairs | None, **options):
    notes: list[str] = []
    given = Given(
        source=source.vocabulary,
        target=target.vocabulary,
        options=METHOD.options(**options),
        files={"source_words": words[0], "target_words": words[1], "dictionary": pairs},
        source_tokenizer=source.tokenizer,
        target_tokenizer=target.tokenizer,
        tell=notes.append,
    )
    return given, notes


def decided(vectors: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The rows whose tenth neighbour is clearly nearer than the eleventh; equal tokens make others arbitrary."""
    source, target = (rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-8) for rows in vectors)
    largest = -np.sort(-(target @ source.T), axis=1)
    return largest[:, 9] - largest[:, 10] > 1e-5


def rotation_in_float64(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, float]:
    """The package rotates by float32, in which the result differs from CPU to CPU by more than the test allows."""
    return orthogonal_procrustes(one.astype(np.float64), other.astype(np.float64))


@pytest.mark.parametrize("kind", [unigram, byte_level])
@pytest.mark.parametrize("how", ["ngrams", "words"])
@pytest.mark.parametrize("aligned", [False, True])
def test_every_row_is_the_authors(kind, how, aligned, languages, dictionary, tmp_path, monkeypatch):
    monkeypatch.setattr(wechsel, "orthogonal_procrustes", rotation_in_float64)
    source, target = (
        side(kind, language, size, tmp_path / f"{size}.json")
        for language, size in zip(languages, (450, 700), strict=True)
    )
    models = tuple(language.model for language in languages)
    model = tensors(len(source.vocabulary), 6, 1)
    model[EMBEDDING] *= 0.2
    strategy = None if aligned else "bilingual_dictionary"
    theirs = wechsel.WECHSEL(*models, strategy, None if aligned else str(dictionary))
    by_ngrams = how == "ngrams"
    want, about = theirs.apply(source.theirs, target.theirs, model[EMBEDDING].numpy(), use_subword_info=by_ngrams)
    words = tuple(read_word_vectors(language.words) for language in languages)
    pairs = None if aligned else read_word_pairs(Text.of(dictionary))
    given, notes = given_of(source, target, words, pairs, token_vectors=how, special_anchors=True)
    done = apply(model, METHOD.make(given), seed=1234, fill="numpy")
    vectors = tuple(
        wechsel.get_subword_embeddings_in_word_embedding_space(
            one.theirs, embedding, use_subword_info=by_ngrams, verbose=False
        )[0]
        for one, embedding in ((source, theirs.source_embeddings), (target, theirs.target_embeddings))
    )
    compared = decided((theirs.source_transform(vectors[0]), vectors[1]))
    filled = done.origins.kind == FILLED
    ends = () if by_ngrams else ("</s>", " </s>")  # fastText's line end, a word in the package, but not here
    marked = {token for side in (source, target) for end in ends for token in side.theirs.tokenize(end)}
    for i, token in enumerate(target.vocabulary.tokens):
        ours = {source.vocabulary.tokens[j] for j in done.weights[i].indices}
        if marked & {token, *ours, *about.sources.get(token, ((),))[0]}:
            continue
        incomplete = "<0x" in target.vocabulary.forms[i]  # U+FFFD in the package, and filled here
        if not incomplete and (compared[i] or filled[i]):
            np.testing.assert_allclose(done.tensors[EMBEDDING][i].numpy(), want[i], atol=1e-5, err_msg=token)
    kinds = [np.count_nonzero(done.origins.kind == kind) for kind in (COPIED, MIXED, FILLED)]
    assert kinds[0] == 5
    assert np.count_nonzero(compared & ~filled) > 0.5 * kinds[1] > 50
    assert kinds[2] > 5
    assert (done.origins.support[done.origins.kind == MIXED] == 10).all()
    assert bool(notes) != aligned


def small(words: list[str], rows: np.ndarray) -> WordVectors:
    return WordVectors(words, np.ones(len(words)), rows.shape[1], lambda numbers: rows[numbers].astype(np.float32))


def test_a_rotation_is_found_again(languages, tmp_path):
    """Words whose vectors are rotated are the nearest to themselves, once a dictionary says so."""
    one = side(wordpiece, languages[0], 400, tmp_path / "one.json")
    draw = np.random.default_rng(1)
    words = sorted({word.lower() for word in languages[0].text.read_text().replace(".", "").split()})[:200]
    rows = draw.normal(size=(len(words), DIMENSION))
    rotation = np.linalg.qr(draw.normal(size=(DIMENSION, DIMENSION)))[0]
    pairs = WordPairs(tuple(zip(words, words, strict=True)), ())
    both = (small(words, rows), small(words, rows @ rotation))
    given, notes = given_of(one, one, both, pairs, neighbors=1)
    mixing = METHOD.make(given)
    for block in mixing.blocks:
        np.testing.assert_allclose(block.similarity.numpy(), 1, atol=1e-5)
    assert "200 pairs of words; 200 of them have vectors on both sides" in " ".join(notes)
    assert not any("arbitrary" in note for note in notes)
    few, notes = given_of(one, one, both, WordPairs(pairs.pairs[:5], ()), copy_overlap=True)
    assert (METHOD.make(few).copied >= 0).all()
    assert any("fewer than the 16 dimensions" in note for note in notes)


def test_a_dictionary_whose_columns_are_exchanged_is_told(tmp_path, languages):
    """Words of one language also occur in text of the other, so that some of its pairs still have vectors."""
    one = side(unigram, languages[0], 300, tmp_path / "one.json")
    draw = np.random.default_rng(1)
    old, new = (small(words, draw.normal(size=(3, 2))) for words in (["ba", "ka", "ta"], ["ba", "MA", "na"]))
    pairs = (("ba", "ba"), ("ka", "ma"), ("Ka", "MA"), ("ta", "na"), ("x", "na"))
    for read, says in (
        (pairs, ["Dictionary: 5 pairs of words; 3 of them have vectors on both sides."]),
        (
            tuple((b, a) for a, b in pairs),
            ["Dictionary: 5 pairs of words; 1 of them has vectors on both sides.", "Warning: 3 would have"],
        ),
    ):
        given, notes = given_of(one, one, (old, new), WordPairs(read, ()))
        METHOD.make(given)
        told = [note for note in notes if "arbitrary" not in note]
        assert len(told) == len(says)
        assert all(note.startswith(say) for note, say in zip(told, says, strict=True))


def test_words_that_do_not_fit_are_told(languages, tmp_path):
    one = side(unigram, languages[0], 300, tmp_path / "one.json")
    words = small(["ba", "ka"], np.eye(2, 4))
    for both, pairs, says in (
        ((words, small(["ba"], np.eye(1, 3))), None, r"have 4 dimensions and those of --target-words 3"),
        ((words, words), WordPairs((("x", "ba"), ("ba", "y")), ()), r"No pair of --dictionary has a vector on both"),
        ((small(["東"], np.ones((1, 4))), words), None, r"No token of the source is in a word of --source-words"),
        ((words, small(["東"], np.ones((1, 4)))), None, r"No token of the target is in a word of --target-words"),
    ):
        with pytest.raises(FocusError, match=says):
            METHOD.make(given_of(one, one, both, pairs)[0])


def test_the_command(release, vocabulary, languages, dictionary, tmp_path):
    with open(tmp_path / "d.txt", "w") as lines:
        lines.write(dictionary.read_text() + "alone\n")
    words = ("--source-words", languages[0].words, "--target-words", languages[1].words)
    job = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "wechsel")
    done = run(*job, *words, "--dictionary", tmp_path / "d.txt", "--paper", "--output", tmp_path / "out")
    assert "1 lines were left out, the first being" in done.stdout
    manifest = json.loads((tmp_path / "out" / "focus.json").read_text())
    assert {"method/source_words", "method/target_words", "method/dictionary"} <= manifest["inputs"].keys()
    token = next(f"▁{syllable}" for syllable in SYLLABLES if f"▁{syllable} " in (vocabulary / "dict.txt").read_text())
    assert f"{token}: a mixture of 10" in run("focus", "explain", tmp_path / "out", token).stdout
    missing = run(*job, *words[:2], "--output", tmp_path / "no", check=False)
    assert "Missing option '--target-words'" in missing.stderr
    (tmp_path / "three.txt").write_text("in three words\n")
    given = (*words, "--dictionary", tmp_path / "three.txt", "--output", tmp_path / "no")
    refuse(*job, *given, says="three.txt: has no pair of words")
    assert torch.load(tmp_path / "out" / "model.pt")["model"][EMBEDDING].isfinite().all()
