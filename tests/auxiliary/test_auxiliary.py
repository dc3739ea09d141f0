"""Auxiliary embeddings: from every kind of file, of tokens and of words, and what is refused."""

import json
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import fasttext
import numpy as np
import pytest
from deepfocus.fasttext_embs import load_target_token_embedding
from invoked import refuse, refuse_all, run
from safetensors.numpy import save_file
from sources import SYLLABLES, write_text
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from focus_plugin.auxiliary.alignment import LARGEST_UNKNOWN_SHARE, TokenVectors
from focus_plugin.auxiliary.matrices import save_vectors
from focus_plugin.auxiliary.options import ReadingOptions, VectorInput, VectorOptions
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.auxiliary.words import load_word_vectors
from focus_plugin.errors import FocusError
from focus_plugin.jobs.auxiliary import make_auxiliary
from focus_plugin.jobs.vocabulary import make_vocabulary
from focus_plugin.text import Text
from focus_plugin.vocabulary.counts import read_counts
from focus_plugin.vocabulary.encoding import BATCH_LINES, write_pieces
from focus_plugin.vocabulary.files import SENTENCEPIECE, dictionary_token
from focus_plugin.vocabulary.readers import load_sentencepiece, read_dictionary, read_tokenizer_json
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary

OPTIONS = VectorOptions(trainer="fasttext", dimension=16, minimum_count=5)
SMALL = Vocabulary.of(["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁b", "ab", "<mask>"])


def train(corpus: Path, vocabulary: Path, output: Path) -> None:
    make_auxiliary(VectorInput(corpus=(corpus,), vocabulary=vocabulary), OPTIONS, output)


def write_vec(path: Path, model: fasttext.FastText._FastText) -> Path:
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{len(model.get_words())} {model.get_dimension()}\n")
        for word in model.get_words():
            file.write(f"{word} {' '.join(str(float(x)) for x in model.get_word_vector(word))}\n")
    return path


@pytest.fixture(scope="module")
def target(vocabulary: Path) -> Vocabulary:
    return read_dictionary(vocabulary / "dict.txt")


@pytest.fixture(scope="module")
def token_model(directory: Path, vocabulary: Path, target_text: Path) -> Path:
    train(target_text, vocabulary, directory / "tokens.bin")
    return directory / "tokens.bin"


@pytest.fixture(scope="module")
def word_model(directory: Path, target_text: Path) -> Path:
    model = fasttext.train_unsupervised(str(target_text), dim=16, minCount=2, thread=1, verbose=0)
    model.save_model(str(directory / "words.bin"))
    return directory / "words.bin"


@pytest.fixture(scope="module")
def smaller_vocabulary(directory: Path, target_text: Path) -> Path:
    make_vocabulary(Text.of(target_text), 250, directory / "smaller.vocab")
    return directory / "smaller.vocab"


def test_pieces_are_written_as_sentencepiece_cuts_them(vocabulary, target_text, tmp_path):
    lines = [*target_text.read_text().splitlines(), "", "   ", "ꙮ babo ꙮꙮ", "\u2028"] * (BATCH_LINES // 3000 + 1)
    processor = load_sentencepiece(vocabulary / SENTENCEPIECE)
    write_pieces(iter(lines), load_tokenizer(vocabulary / SENTENCEPIECE), tmp_path / "pieces.txt")
    cut = (processor.encode(line, out_type=str) for line in lines)
    assert (tmp_path / "pieces.txt").read_text() == "".join(" ".join(pieces) + "\n" for pieces in cut if pieces)


def test_a_model_gives_fasttexts_own_vectors(token_model, target):
    model = fasttext.load_model(str(token_model))
    found = load_vectors(token_model, target)
    words = set(model.get_words())
    assert "</s>" in words, "fastText's line end"
    for token, row, rare, special in zip(target.tokens, found.vectors, found.rare, target.special, strict=True):
        some = token in words or not special
        np.testing.assert_array_equal(row, model.get_word_vector(token) if some else np.zeros(16))
        assert rare == (token not in words and row.any())
    assert np.count_nonzero(found.vectors.any(axis=1) & ~found.rare) > 100
    assert found.rare.any()


@pytest.mark.parametrize("precision", ["float32", "float16", "float64"])
def test_every_kind_of_file_gives_the_same_matrix(token_model, target, tmp_path, precision):
    loaded = load_vectors(token_model, target)
    want = np.where(loaded.rare[:, None], 0, loaded.vectors).astype(precision)
    known = np.flatnonzero(want.any(axis=1))[::-1]
    tokens = np.array(target.tokens)[known]
    np.savez(tmp_path / "named.npz", tokens=tokens, vectors=want[known])
    np.savez_compressed(tmp_path / "rows.npz", vectors=want)
    metadata = {"tokens": json.dumps(tokens.tolist())}
    save_file({"vectors": np.ascontiguousarray(want[known])}, tmp_path / "named.safetensors", metadata)
    save_file({"embeddings": want}, tmp_path / "rows.safetensors")
    save_vectors(tmp_path / "own.safetensors", TokenVectors.of(want.astype(np.float32)), target)
    write_vec(tmp_path / "text.vec", fasttext.load_model(str(token_model)))
    for path in tmp_path.iterdir():
        matrix = load_vectors(path, target).vectors
        assert matrix.dtype == np.float32
        np.testing.assert_allclose(matrix, want, atol=1e-3 if path.suffix == ".vec" else 0, err_msg=path.name)


def test_the_compact_file_keeps_which_tokens_are_rare(token_model, target, tmp_path):
    want = load_vectors(token_model, target)
    save_vectors(tmp_path / "v.safetensors", want, target)
    got = load_vectors(tmp_path / "v.safetensors", target)
    np.testing.assert_array_equal(got.vectors, want.vectors)
    np.testing.assert_array_equal(got.rare, want.rare)
    assert got.rare.any()


def test_the_compact_file_is_the_same_every_time(target, token_model, tmp_path):
    for name in ("a.safetensors", "b.safetensors"):
        save_vectors(tmp_path / name, load_vectors(token_model, target), target)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.bin", b"no model", "not a fastText model"),
        ("x.npz", b"no archive", "damaged, or not an .npz file"),
        ("x.safetensors", b"no tensors", "damaged, or not a file of token vectors"),
        ("x.vec", "2 3\n▁a 1 2\n", "line 2: expected a token and 3 numbers"),
        ("x.vec", "1 2\n▁a 1 two\n", "line 2: expected a token and 2 numbers"),
        ("x.vec", "1 2\n▁a 1 nan\n", "NaN or infinity"),
        ("x.vec", "1 2\nelsewhere 1 2\n", "for any token of the target vocabulary"),
        ("x.vec", "2 2\n▁a 1 2\n▁a 1 2\n", "line 3: '▁a' occurs twice; line 2 also has it"),
        ("x.vec", "", "expected the number of tokens"),
        ("x.vec", "3 99999999999\n", "expected the number of tokens and the dimension, at most 99999"),
        ("x.vec", "3 99999\n", "says 3 words, but it has 0"),
        ("x.npy", b"", "are read from .bin, .vec, .vec.gz, .txt, .txt.gz, .npz, .safetensors"),
    ],
)
def test_faults_of_vectors_are_told(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FocusError, match=message):
        load_vectors(tmp_path / name, SMALL)


TOKENS = np.array(["▁a", "▁b"])
VECTORS = np.eye(2, dtype=np.float32)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"tokens": TOKENS}, "no array named vectors"),
        ({"tokens": TOKENS, "vectors": np.eye(3)}, "3 vectors for 2 tokens"),
        ({"vectors": np.eye(3)}, "3 vectors for 8 tokens of the target vocabulary, and no array of tokens"),
        ({"tokens": TOKENS[[0, 0]], "vectors": VECTORS}, "token '▁a' occurs twice"),
        ({"tokens": TOKENS, "vectors": np.full((2, 2), np.inf)}, "NaN or infinity"),
        ({"tokens": TOKENS, "vectors": np.full((2, 2), 1e300)}, "NaN or infinity"),
        ({"tokens": TOKENS, "vectors": VECTORS.astype(np.int32)}, "int32; expected float16, float32, float64"),
        ({"tokens": TOKENS, "vectors": VECTORS.astype(object)}, "Object arrays cannot be loaded"),
        ({"tokens": TOKENS.astype(object), "vectors": VECTORS}, "Object arrays cannot be loaded"),
        ({"tokens": np.arange(2), "vectors": VECTORS}, "expected a list of strings"),
        ({"tokens": TOKENS[:, None], "vectors": VECTORS}, "expected a list of strings"),
        ({"tokens": TOKENS, "vectors": VECTORS[0]}, "shape \\(2,\\)"),
        ({"tokens": TOKENS, "vectors": VECTORS[:, :0]}, "shape \\(2, 0\\)"),
        ({"tokens": TOKENS, "vectors": VECTORS * 0}, "for any token of the target vocabulary"),
    ],
)
def test_faults_of_an_npz_file_are_told(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FocusError, match=message):
        load_vectors(tmp_path / "x.npz", SMALL)


@pytest.mark.parametrize(
    ("tensors", "tokens", "message"),
    [
        ({"vectors": VECTORS}, None, "2 vectors for 8 tokens of the target vocabulary, and no array of tokens"),
        ({"vectors": VECTORS}, '["▁a"]', "2 vectors for 1 tokens"),
        ({"vectors": VECTORS}, '["▁a", "▁a"]', "token '▁a' occurs twice"),
        ({"vectors": VECTORS}, '["▁a", 1]', "list of strings"),
        ({"vectors": VECTORS}, "▁a", "damaged"),
        ({"vectors": np.full((2, 2), np.nan)}, '["▁a", "▁b"]', "NaN or infinity"),
        ({"vectors": VECTORS.astype(np.int8)}, '["▁a", "▁b"]', "I8; expected float16"),
        ({"vectors": VECTORS[0]}, '["▁a", "▁b"]', "shape \\(2,\\)"),
        ({"weights": VECTORS}, None, "expected one matrix, named vectors or embeddings"),
        ({"vectors": VECTORS, "embeddings": VECTORS}, None, "expected one matrix"),
    ],
)
def test_faults_of_a_safetensors_file_are_told(tmp_path, tensors, tokens, message):
    save_file(tensors, tmp_path / "x.safetensors", tokens and {"tokens": tokens})
    with pytest.raises(FocusError, match=message):
        load_vectors(tmp_path / "x.safetensors", SMALL)


@pytest.mark.parametrize("missing", [1, 2000, 10_000_000])
def test_a_truncated_fasttext_model_is_told(token_model, target, tmp_path, missing):
    """fastText itself loads it, and fills what is missing with whatever is in memory."""
    (tmp_path / "v.bin").write_bytes(token_model.read_bytes()[:-missing])
    for load in (load_vectors, load_word_vectors):
        with pytest.raises(FocusError, match="truncated"):
            load(tmp_path / "v.bin", target)


@pytest.mark.parametrize(
    ("place", "number", "says"),
    [  # of the header: dim, kind of model, bucket, maxn, entries, words
        (2, 0, "its number dim is 0"),
        (2, 2**30, "truncated"),
        (9, 7, "its kind of model is unknown"),
        (10, 0, "its number bucket is 0"),
        (10, 2**31 - 1, "truncated"),
        (12, -1, "its number maxn is -1"),
        (16, 2**31 - 1, "its numbers of words and labels are impossible"),
        (17, 1, "its numbers of words and labels are impossible"),
        (22, 0, "it is quantized"),
    ],
)
def test_a_fasttext_model_whose_numbers_are_wrong_is_told(token_model, target, tmp_path, place, number, says):
    """fastText itself allocates what they say, reads other memory, or divides by zero."""
    content = bytearray(token_model.read_bytes())
    content[4 * place : 4 * place + 4] = struct.pack("<i", number)
    (tmp_path / "v.bin").write_bytes(content)
    for load in (load_vectors, load_word_vectors):
        with pytest.raises(FocusError, match=says):
            load(tmp_path / "v.bin", target)


def test_a_truncated_npz_file_is_told(tmp_path):
    np.savez(tmp_path / "whole.npz", tokens=TOKENS, vectors=VECTORS)
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole.replace(VECTORS.tobytes(), VECTORS[::-1].tobytes()))
    with pytest.raises(FocusError, match="damaged"):
        load_vectors(tmp_path / "x.npz", SMALL)
    (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FocusError, match="damaged"):
        load_vectors(tmp_path / "x.npz", SMALL)


@pytest.mark.parametrize("member", [b"no array", b"\x93NUMPY\x01\0\x08\0{'a': (("])
def test_an_npz_file_whose_members_are_no_arrays_is_told(tmp_path, member):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("vectors.npy", member)
    with pytest.raises(FocusError, match=r"damaged, or not an \.npz file of plain arrays"):
        load_vectors(tmp_path / "x.npz", SMALL)


def test_vectors_of_another_tokenizer_are_refused(
    release, vocabulary, smaller_vocabulary, token_model, word_model, target_text, directory, tmp_path
):
    other_text = write_text(tmp_path / "other.txt", lines=3000, seed=5)
    make_vocabulary(Text.of(other_text), 400, tmp_path / "other.vocab")
    train(other_text, tmp_path / "other.vocab", tmp_path / "other.bin")
    for suffix in ("safetensors", "bin"):
        train(target_text, smaller_vocabulary, tmp_path / f"smaller.{suffix}")
    write_vec(tmp_path / "larger.vec", fasttext.load_model(str(token_model)))
    cases = (
        (vocabulary, tmp_path / "other.bin", "it seems to be made with another tokenizer"),
        (vocabulary, word_model, "Give vectors of whole words as --word-vectors"),
        (smaller_vocabulary, token_model, "are not tokens of the target vocabulary, such as '▁"),
        (smaller_vocabulary, tmp_path / "larger.vec", "it seems to be made with another tokenizer"),
        (vocabulary, tmp_path / "smaller.safetensors", "was made for another vocabulary"),
        (vocabulary, tmp_path / "smaller.bin", "of the frequent tokens of the target vocabulary are not in it"),
    )
    base = ("focus", "convert", "--source", release, "--output", tmp_path / "out")
    refuse_all(*((((*base, "--vocab", chosen, "--auxiliary", vectors), says)) for chosen, vectors, says in cases))
    assert not (tmp_path / "out").exists()


def test_only_the_right_tokenizer_is_accepted_on_less_text(
    vocabulary, smaller_vocabulary, target, target_text, tmp_path
):
    """A smaller vocabulary of the same text is a subset: only the counts of the dictionary tell it from the right one,
    and without such counts both are accepted."""
    (tmp_path / "less.txt").write_text("".join(target_text.read_text().splitlines(keepends=True)[::10]))
    right, smaller = tmp_path / "right.bin", tmp_path / "smaller.bin"
    train(tmp_path / "less.txt", vocabulary, right)
    train(tmp_path / "less.txt", smaller_vocabulary, smaller)
    uses = read_counts(vocabulary / "dict.txt", target)
    words = set(fasttext.load_model(str(right)).get_words())
    assert any(uses[target.ids[token]] for token in target.tokens if token not in words), "less text has fewer tokens"
    for counts in (uses, np.ones_like(uses), uses * 0):
        assert load_vectors(right, target, counts).vectors.any()
    for counts in (np.ones_like(uses), uses * 0):
        assert load_vectors(smaller, target, counts).vectors.any()
    with pytest.raises(FocusError, match="frequent tokens of the target vocabulary are not in it"):
        load_vectors(smaller, target, uses)


def test_only_the_right_tokenizer_is_accepted_on_text_that_it_cannot_spell(
    vocabulary, smaller_vocabulary, target, target_text, tmp_path
):
    """Words in letters that the target lacks are no sign of another tokenizer; words in its letters are."""
    foreign = [f"{first}{second} babo" for first in "абвгдежзик" for second in "лмнопрстуф"]
    (tmp_path / "text.txt").write_text(target_text.read_text() + "\n".join(foreign * 5))
    train(tmp_path / "text.txt", vocabulary, tmp_path / "v.bin")
    words = fasttext.load_model(str(tmp_path / "v.bin")).get_words()
    assert sum(word not in target.ids for word in words) >= len(foreign) > LARGEST_UNKNOWN_SHARE * len(words)
    assert load_vectors(tmp_path / "v.bin", target).vectors.any()
    with pytest.raises(FocusError, match="words in the target's alphabet are not tokens of the target vocabulary"):
        load_vectors(tmp_path / "v.bin", read_dictionary(smaller_vocabulary / "dict.txt"))


def test_a_refusal_is_overridden_by_the_option_that_it_names(
    release, vocabulary, smaller_vocabulary, token_model, target, target_text, tmp_path
):
    train(target_text, smaller_vocabulary, tmp_path / "smaller.bin")
    uses = read_counts(vocabulary / "dict.txt", target)
    with pytest.raises(FocusError, match="--skip-tokenizer-check"):  # by check_counts
        load_vectors(tmp_path / "smaller.bin", target, uses)
    unchecked = ReadingOptions(skip_tokenizer_check=True)
    assert load_vectors(tmp_path / "smaller.bin", target, uses, unchecked).vectors.any()
    base = ("focus", "convert", "--source", release, "--vocab", smaller_vocabulary, "--output", tmp_path / "out")
    told = refuse(*base, "--auxiliary", token_model, says="seems to be made with another tokenizer")  # by check_names
    option = next(word for word in told.split() if word.startswith("--skip"))
    run(*base, "--auxiliary", token_model, option)
    assert json.loads((tmp_path / "out" / "focus.json").read_text())["counts"]["mixed"] > 50
    (tmp_path / "twice.vec").write_text("2 2\n▁a 1 2\n▁a 1 2\n")
    with pytest.raises(FocusError, match="occurs twice"):
        load_vectors(tmp_path / "twice.vec", SMALL, options=unchecked)


def test_a_lack_of_memory_is_told(vocabulary, target_text, tmp_path):
    """fastText asks for 2,000,000 vectors of n-grams at once."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 34, 1 << 34))

    program = [str(Path(sys.executable).parent / "focus"), "auxiliary", "--corpus", str(target_text)]
    given = ["--vocab", str(vocabulary), "--trainer", "fasttext", "--dim", "5000", "--output", str(tmp_path / "v.bin")]
    done = subprocess.run([*program, *given], capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1
    assert "fastText could not train on it" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.fixture(scope="module")
def tokenizer(directory: Path, target_text: Path) -> PreTrainedTokenizerFast:
    """A SentencePiece-like tokenizer of Hugging Face's library, with bytes."""
    library = Tokenizer(models.Unigram())
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.decoder = decoders.Metaspace()
    alphabet = sorted(set("".join(SYLLABLES)))
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=list(SPECIALS), unk_token="<unk>", initial_alphabet=alphabet
    )
    library.train([str(target_text)], trainer)
    library.add_tokens(["<0xC3>"])
    library.save(str(directory / "words.tokenizer.json"))
    return PreTrainedTokenizerFast(tokenizer_object=library, unk_token="<unk>")


def test_word_vectors_are_those_of_the_authors_package(tokenizer, word_model, directory):
    target = read_tokenizer_json(directory / "words.tokenizer.json")
    found = load_target_token_embedding(tokenizer, language_identifier=str(word_model))
    theirs = {dictionary_token(token): vector for token, vector in found.items()}
    ours = load_word_vectors(word_model, target).vectors
    without = {"▁", "<0xC3>"}
    assert set(theirs) == set(target.tokens)
    assert without <= set(theirs)
    for token, row in zip(target.tokens, ours, strict=True):
        np.testing.assert_array_equal(row, np.zeros(16) if token in without else theirs[token], err_msg=token)
    words = set(fasttext.load_model(str(word_model)).get_words())
    assert sum(token.strip("▁") not in words and row.any() for token, row in zip(target.tokens, ours, strict=True)) > 50


def test_word_vectors_as_text_are_those_of_words_alone(word_model, target, tmp_path):
    model = fasttext.load_model(str(word_model))
    by_ngrams = load_word_vectors(word_model, target).vectors
    by_words = load_word_vectors(write_vec(tmp_path / "w.vec", model), target).vectors
    words = set(model.get_words())
    is_word = np.array([token.replace("▁", "") in words for token in target.tokens]) & ~target.special
    assert 50 < is_word.sum() < len(target)
    np.testing.assert_array_equal(by_words.any(axis=1) & ~target.special, is_word)
    np.testing.assert_allclose(by_words[is_word], by_ngrams[is_word], rtol=1e-6)


def test_faults_of_word_vectors_are_told(token_model, tmp_path):
    for name, content, message in (
        ("x.bin", b"no model", "not a fastText model"),
        ("x.npz", b"", "are read from .bin, .vec, .vec.gz, .txt, .txt.gz files"),
        ("x.vec", b"1 2\na 1 nan\n", "NaN or infinity"),
        ("x.vec", b"1 2\nelsewhere 1 2\n", "for any token"),
        ("x.vec", "3 2\n▁a 1 2\n▁b 1 2\na 1 2\n".encode(), "vectors of tokens, not of words; give it to --auxiliary"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FocusError, match=message):
            load_word_vectors(tmp_path / name, SMALL)


def test_the_command_takes_word_vectors(release, vocabulary, target_text, token_model, word_model, tmp_path):
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--output", tmp_path / "out")
    refuse(*base, "--word-vectors", word_model, "--auxiliary", token_model, says="give only one of them")
    refuse(*base, "--word-vectors", token_model, says="give it to --auxiliary")
    run(*base, "--word-vectors", word_model, "--corpus", target_text)
    manifest = json.loads((tmp_path / "out" / "focus.json").read_text())
    assert {"word_vectors", "corpus"} <= set(manifest["inputs"])
    assert "fasttext" not in manifest["options"]
    assert "target_tokens_per_word" in manifest["counts"]
    counts = manifest["counts"]
    assert counts["mixed"] > 100
    target = read_dictionary(vocabulary / "dict.txt")
    without = np.count_nonzero(~load_word_vectors(word_model, target).vectors.any(axis=1) & ~target.special)
    assert counts["filled"] <= without, "specials are copied"
