"""The conversion as a command, row by row against the authors' package with the same fastText file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from authors import Pair, authors
from invoked import run

from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.vocabulary.readers import read_dictionary

MATCHINGS = {
    "exact": ((), {}),
    "symbols": (("--match-symbols",), {"match_symbols": True}),
    "fuzzy": (("--match-fuzzy", "--seed", 7), {"fuzzy_match_all": True, "seed": 7}),
}


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
