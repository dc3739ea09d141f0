"""The conversion as a command, row by row against the authors' package with the same fastText file."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import fasttext
import numpy as np
import pytest
import torch
from commands import run
from deepfocus import FOCUS
from tokenizer_kinds import SPECIALS, odd_lines, unigram
from transformers import PreTrainedTokenizerFast

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import write_release
from focus_plugin.vocabulary.readers import read_dictionary

NAMES = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
MATCHINGS = {
    "exact": ((), {}),
    "symbols": (("--match-symbols",), {"match_symbols": True}),
    "fuzzy": (("--match-fuzzy", "--seed", 7), {"fuzzy_match_all": True, "seed": 7}),
}


@dataclass(frozen=True)
class Pair:
    """A source encoder and a target vocabulary, for us as files and for the authors' package as its arguments."""

    release: Path
    vocabulary: Path
    source: PreTrainedTokenizerFast
    target: PreTrainedTokenizerFast
    tokens: Path
    words: Path


@pytest.fixture(scope="module")
def pair(release, source_text, tmp_path_factory) -> Pair:
    work, draw = tmp_path_factory.mktemp("pair"), random.Random(1)
    words, library = source_text.read_text().split(), {}
    for side, size in (("source", 400), ("target", 900)):
        lines = [" ".join(line.split()) for line in odd_lines(draw.sample(words, len(words) // 2), draw)]
        (work / f"{side}.txt").write_text("\n".join(lines))
        library[side] = unigram(lines, size)
        library[side].save(str(work / f"{side}.json"))
        files = ("--tokenizer", work / f"{side}.json", "--input", work / f"{side}.txt", "--output", work / side)
        run("focus", "vocab", *files)
    base, size = read_checkpoint(release), len(read_dictionary(work / "source" / "dict.txt"))
    rows = torch.randn(size, base.config.width, generator=torch.Generator().manual_seed(1))
    rows = rows * torch.linspace(0.1, 1, base.config.width) + torch.linspace(1, -1, base.config.width)
    tensors = {**base.tensors, EMBEDDING: rows, OUTPUT_EMBEDDING: rows, OUTPUT_BIAS: torch.zeros(size)}
    (work / "release").mkdir()
    files = (work / "source" / "dict.txt", work / "source" / "sentencepiece.bpe.model")
    write_release(work / "release", base.config, tensors, *files)
    cut = (library["target"].encode(line).tokens for line in lines)
    (work / "pieces.txt").write_text("".join(" ".join(pieces) + "\n" for pieces in cut))
    for name, text, count in (("tokens", "pieces.txt", 5), ("words", "target.txt", 2)):
        model = fasttext.train_unsupervised(
            str(work / text), model="cbow", dim=16, minCount=count, lr=0.02, thread=1, verbose=0
        )
        model.save_model(str(work / f"{name}.bin"))
    special = dict(zip(NAMES, SPECIALS, strict=True))
    theirs = (PreTrainedTokenizerFast(tokenizer_object=library[side], **special) for side in ("source", "target"))
    return Pair(work / "release", work / "target", *theirs, work / "tokens.bin", work / "words.bin")


def authors(pair: Pair, **options: object) -> dict[str, np.ndarray]:
    """The authors' rows by token, from the source's rows in the order of their tokenizer."""
    checkpoint = read_checkpoint(pair.release)
    ids = pair.source.get_vocab()
    order = [checkpoint.vocabulary.ids[token] for token in sorted(ids, key=lambda token: ids[token])]
    found = FOCUS(pair.target, pair.source, checkpoint.tensors[EMBEDDING][order], verbosity="silent", **options)
    return {token: found[i].numpy() for token, i in pair.target.get_vocab().items()}


def ours(pair: Pair, output: Path, *options: object) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Our rows by token, as they are in the model on disk, and the counts."""
    files = ("--source", pair.release, "--vocab", pair.vocabulary, "--output", output)
    run("focus", "convert", *files, "--paper", *options)
    rows = torch.load(output / "model.pt", weights_only=True)["model"][EMBEDDING].numpy()
    tokens = read_dictionary(output / "dict.txt").tokens
    return dict(zip(tokens, rows, strict=True)), json.loads((output / "focus.json").read_text())["counts"]


def assert_same(found: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert found.keys() == want.keys()
    for token, row in want.items():
        np.testing.assert_allclose(found[token], row, atol=1e-5, rtol=0, err_msg=token)


@pytest.mark.parametrize("matching", MATCHINGS)
def test_every_row_is_the_authors(pair, tmp_path, matching):
    """The rows drawn at random are among them, by the same seed in the same order."""
    flags, options = MATCHINGS[matching]
    found, counts = ours(pair, tmp_path / "out", "--auxiliary", pair.tokens, *flags)
    assert_same(found, authors(pair, fasttext_model_path=str(pair.tokens), **options))
    assert counts["overlap"] > 100
    assert counts["mixed"] > 50
    assert counts["filled"] > 10


def test_every_row_is_the_authors_with_vectors_of_words(pair, tmp_path):
    found, counts = ours(pair, tmp_path / "out", "--word-vectors", pair.words)
    mode = {"auxiliary_embedding_mode": "fasttext-wordlevel", "language_identifier": str(pair.words)}
    assert_same(found, authors(pair, **mode))
    assert counts["mixed"] > 100


def test_the_line_end_is_an_anchor_under_paper_alone(pair, tmp_path):
    done = {}
    for name in ("paper", "default"):
        files = ("--source", pair.release, "--vocab", pair.vocabulary, "--auxiliary", pair.tokens)
        run("focus", "convert", *files, *(["--paper"] if name == "paper" else []), "--output", tmp_path / name)
        done[name] = run("focus", "explain", tmp_path / name, *list(pair.target.get_vocab())).stdout
    assert any(line.endswith("  </s>") for line in done["paper"].splitlines())
    assert not any(line.endswith("  </s>") for line in done["default"].splitlines())
