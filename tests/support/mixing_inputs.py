"""Vocabularies, vectors and tensors small enough to state a mixing matrix plainly, and the methods called on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sources import write_text
from tokenizers import Tokenizer

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.methods.focus import METHOD as FOCUS
from focus_plugin.methods.focus import FocusOptions
from focus_plugin.methods.random import METHOD as RANDOM
from focus_plugin.mixing.declaration import Given, Method
from focus_plugin.mixing.matching import MatchingOptions
from focus_plugin.mixing.mixing import Mixing
from focus_plugin.vocabulary.readers import read_tokenizer_json
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary


def vocabularies(common: int, only_source: int, only_target: int) -> tuple[Vocabulary, Vocabulary]:
    shared = [f"c{i}" for i in range(common)]
    source = [*SPECIALS[:4], *shared, *(f"s{i}" for i in range(only_source)), SPECIALS[4]]
    target = [*SPECIALS[:4], *(f"t{i}" for i in range(only_target)), *reversed(shared), SPECIALS[4]]
    return Vocabulary.of(source), Vocabulary.of(target)


def tensors(rows: int, width: int, seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    embedding = torch.randn(rows, width, generator=draw)
    other = torch.randn(7, width, generator=draw)
    bias = torch.randn(rows, generator=draw)
    return {EMBEDDING: embedding, "other": other, OUTPUT_EMBEDDING: embedding, OUTPUT_BIAS: bias}


def vectors(target: Vocabulary, dimension: int, seed: int) -> TokenVectors:
    drawn = np.random.default_rng(seed).normal(size=(len(target), dimension)).astype(np.float32)
    return TokenVectors.of(drawn)


def dense(mixing: Mixing, source_size: int) -> np.ndarray:
    matrix = np.zeros((len(mixing.copied), source_size))
    for block in mixing.blocks:
        matrix[np.ix_(block.rows, mixing.anchors)] = block.weights.to_dense().numpy()
    return matrix


def focus(source: Vocabulary, target: Vocabulary, auxiliary: TokenVectors, **options: Any) -> Mixing:
    given = Given(source=source, target=target, vectors=auxiliary, options=FocusOptions(**options))
    return FOCUS.make(given)


def by_vectors(
    method: Method, source: Vocabulary, target: Vocabulary, auxiliary: TokenVectors, **options: Any
) -> Mixing:
    """What a method makes that needs only vectors of the target's tokens."""
    given = Given(source=source, target=target, vectors=auxiliary, options=method.options(**options))
    return method.make(given)


def random(source: Vocabulary, target: Vocabulary) -> Mixing:
    return RANDOM.make(Given(source=source, target=target, options=MatchingOptions()))


def two_of_a_kind(train: Callable[[list[str], int], Tokenizer], folder: Path) -> tuple[Vocabulary, Vocabulary]:
    """A source and a larger target vocabulary, by tokenizers that ``train`` makes from lines and a size."""
    read = []
    for name, seed, size in (("source", 1, 350), ("target", 2, 500)):
        lines = write_text(folder / f"{name}.txt", 800, seed).read_text().splitlines()
        train(lines, size).save(str(folder / f"{name}.json"))
        read.append(read_tokenizer_json(folder / f"{name}.json"))
    return read[0], read[1]
