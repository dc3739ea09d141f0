"""Vectors from counts of neighbouring tokens, and the options and temporary files of both trainers."""

import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from invoked import refuse, run
from sources import SYLLABLES

from focus_plugin.auxiliary.neighbors import SMOOTHING, count_neighbors, factorized
from focus_plugin.auxiliary.options import VectorOptions
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.files import silent
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import BATCH_LINES
from focus_plugin.vocabulary.files import SENTENCEPIECE
from focus_plugin.vocabulary.options import UnigramTraining
from focus_plugin.vocabulary.readers import load_sentencepiece, read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary

WORDS = ("alpha", "bravo", "carol", "delta", "epsom", "forth", "ghoul", "unseen")  # that share no n-gram
SMALL = Vocabulary.of([*SPECIALS[:4], *WORDS, SPECIALS[4]])


def _by_words(vocabulary: Vocabulary) -> Tokenizer:
    """A tokenizer that cuts at spaces."""

    def ids(lines: list[str]) -> list[list[int]]:
        return [[vocabulary.ids[word] for word in line.split()] for line in lines]

    return Tokenizer(
        vocabulary.tokens,
        lambda lines: [[word.encode() for word in line.split()] for line in lines],
        ids,
        lambda lines: [],
    )


def _text(lines: int) -> list[str]:
    draw = np.random.default_rng(3)
    return [" ".join(draw.choice(WORDS[:-1], draw.integers(1, 9))) for _ in range(lines)]


def _cosines(vectors: np.ndarray) -> np.ndarray:
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows @ rows.T


def test_every_pair_of_neighbours_is_counted(vocabulary, target_text):
    """Line ends are neighbours too, but the lines of two batches are none."""
    lines = [*target_text.read_text().splitlines(), "", "   "] * (BATCH_LINES // 3000 + 1)
    assert len(lines) > BATCH_LINES
    target = read_dictionary(vocabulary / "dict.txt")
    processor = load_sentencepiece(vocabulary / SENTENCEPIECE)
    want: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if pieces := processor.encode(line, out_type=str):
            want.update(pairwise(["<s>", *pieces, "</s>"]))
    found = count_neighbors(iter(lines), load_tokenizer(vocabulary / SENTENCEPIECE), target).tocoo()
    named = {
        (target.tokens[i], target.tokens[j]): count
        for i, j, count in zip(found.row, found.col, found.data, strict=True)
        if count
    }
    assert named == want


def test_the_cosines_are_those_of_the_mutual_information():
    """With as many dimensions as tokens, nothing is lost in the factorization."""
    counts = count_neighbors(_text(200), _by_words(SMALL), SMALL)
    vectors, uses = factorized(counts, SMALL, len(SMALL), 1, silent)
    dense = counts.toarray()[~SMALL.special], counts.toarray().T[~SMALL.special]
    both = np.hstack(dense).astype(float)
    expected = both.sum(1, keepdims=True) * both.sum(0) ** SMOOTHING / (both.sum(0) ** SMOOTHING).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nan_to_num(np.maximum(np.log(both / expected), 0), posinf=0)
    seen = [SMALL.ids[word] for word in WORDS[:-1]]
    np.testing.assert_allclose(_cosines(vectors[seen]), _cosines(information[:-1]), atol=1e-4)
    text = " ".join(_text(200)).split()
    assert uses[~SMALL.special].tolist() == [text.count(word) for word in WORDS]
    assert not vectors[SMALL.special].any()
    assert not vectors[SMALL.ids["unseen"]].any(), "it shares no n-gram with any other"


def test_tokens_that_fit_in_the_same_places_are_alike():
    lines = [f"alpha {word} carol" for word in ("bravo", "delta")] * 20 + ["epsom forth ghoul"] * 20
    vectors, _ = factorized(count_neighbors(lines, _by_words(SMALL), SMALL), SMALL, 4, 1, silent)
    cosine = _cosines(vectors[[SMALL.ids[word] for word in ("bravo", "delta", "alpha", "forth")]])
    assert cosine[0, 1] > 0.99
    assert np.abs(cosine[0, 2:]).max() < 0.5


def test_a_token_that_never_occurs_has_the_vector_of_its_ngrams():
    vocabulary = Vocabulary.of([*SPECIALS[:4], "walking", "walked", "carol", "delta", "talking", SPECIALS[4]])
    lines = ["carol walking", "delta carol"] * 20 + ["walked delta"] * 20
    vectors, uses = factorized(count_neighbors(lines, _by_words(vocabulary), vocabulary), vocabulary, 4, 1, silent)
    cosine = _cosines(vectors[[vocabulary.ids[word] for word in ("talking", "walking", "walked", "delta")]])
    assert not uses[vocabulary.ids["talking"]]
    assert cosine[0, 1] > cosine[0, 2] > cosine[0, 3]


@pytest.mark.parametrize(("megabytes", "size"), [(2, 2e6), (0, math.inf)])
def test_a_sample_has_the_same_unit_for_vectors_and_for_a_vocabulary(megabytes, size):
    assert VectorOptions(sample_mb=megabytes).sample_bytes == UnigramTraining(sample_mb=megabytes).sample_bytes == size


def _training(corpus: Path, seed: int, sample_mb: int) -> VectorTraining:
    options = VectorOptions(sample_mb=sample_mb)
    tokenizer = _by_words(SMALL)
    return VectorTraining(
        corpus=Text.of(corpus), tokenizer=tokenizer, target=SMALL, options=options, seed=seed, scratch=corpus.parent
    )


def test_the_sample_is_drawn_over_the_whole_text(tmp_path):
    lines = [f"{number} {'x' * 90}" for number in range(50_000)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    done: list[int] = []
    sample = list(_training(tmp_path / "text.txt", 1, 1).lines(done.append))
    assert sum(len(line) + 1 for line in sample) == pytest.approx(1_000_000, rel=0.05)
    numbers = [int(line.split()[0]) for line in sample]
    assert numbers == sorted(numbers)
    quarters = np.histogram(numbers, bins=4, range=(0, len(lines)))[0] / len(numbers)
    np.testing.assert_allclose(quarters, 0.25, atol=0.03)
    assert sum(done) == (tmp_path / "text.txt").stat().st_size
    assert list(_training(tmp_path / "text.txt", 1, 1).lines(silent)) == sample
    assert list(_training(tmp_path / "text.txt", 2, 1).lines(silent)) != sample
    for whole in (0, 100):
        assert list(_training(tmp_path / "text.txt", 1, whole).lines(silent)) == lines


def test_the_same_seed_gives_the_same_file(vocabulary, target_text, tmp_path, monkeypatch):
    """Trained anew each time."""
    found = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        monkeypatch.setenv("FOCUS_CACHE", str(tmp_path / f"cache.{name}"))
        output = tmp_path / f"{name}.safetensors"
        base = ("focus", "auxiliary", "--corpus", target_text, "--vocab", vocabulary, "--output", output)
        run(*base, "--seed", seed)
        found[name] = output.read_bytes()
    assert found["a"] == found["b"]
    assert found["a"] != found["c"]
    read = load_vectors(tmp_path / "a.safetensors", read_dictionary(vocabulary / "dict.txt"))
    assert np.count_nonzero(read.vectors.any(axis=1) & ~read.rare) > 100


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--epochs", 5), "--epochs is an option of fastText: give --trainer fasttext"),
        (("--threads", 2), "--threads is an option of fastText"),
        (("--min-count", 10**9), "no token occurs 1000000000 times"),
        (("--output", "x.bin"), "is the format of fastText's models; give --trainer fasttext"),
    ],
)
def test_what_does_not_fit_the_trainer_is_refused(vocabulary, target_text, tmp_path, options, says):
    base = ("focus", "auxiliary", "--corpus", target_text, "--vocab", vocabulary)
    refuse(*base, "--output", tmp_path / "x.safetensors", *options, says=says)
    assert not any(tmp_path.iterdir())


def test_a_corpus_without_text_is_told(vocabulary, tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n")
    base = ("focus", "auxiliary", "--corpus", tmp_path / "empty.txt", "--vocab", vocabulary)
    for trainer in ("neighbors", "fasttext"):
        refuse(*base, "--trainer", trainer, "--output", tmp_path / "x.safetensors", says="the corpus is empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.txt"]


def test_temporary_files_are_beside_the_output_and_gone_after_a_kill(vocabulary, tmp_path):
    draw = np.random.default_rng(1)
    words = ["".join(draw.choice(SYLLABLES, 3)) for _ in range(20_000)]
    (tmp_path / "text.txt").write_text("\n".join(words))
    for name in ("tmp", "out"):
        (tmp_path / name).mkdir()
    output = tmp_path / "out" / "v.bin"
    given = ("--corpus", tmp_path / "text.txt", "--vocab", vocabulary, "--dim", 8, "--trainer", "fasttext")
    program = [Path(sys.executable).parent / "focus", "auxiliary", *given, "--epochs", 100_000, "--output", output]
    process = subprocess.Popen(
        [str(word) for word in program],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (written := [path for path in (tmp_path / "out").rglob("pieces.txt") if path.stat().st_size]):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert written[0].is_file(), "nothing could clean up"
    assert not any((tmp_path / "tmp").iterdir())
    run("focus", "auxiliary", *given, "--epochs", 1, "--output", output)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"v.bin"}
