"""What methods that learn rows through the model are given in tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.mixing.declaration import Given
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer


def given_to_learn(release: Path, vocabulary: Path, text: Path, options: Any) -> Given:
    """A small random encoder, but with an output layer as flat as a trained one's; a vocabulary and its text."""
    model = read_checkpoint(release)
    flat = 0.1 * model.tensors[EMBEDDING]
    model = replace(model, tensors={**model.tensors, EMBEDDING: flat, OUTPUT_EMBEDDING: flat})
    target = read_dictionary(vocabulary / "dict.txt")
    drawn = np.random.default_rng(1).normal(size=(len(target), 8)).astype(np.float32)
    return Given(
        source=model.vocabulary,
        target=target,
        options=options,
        model=model,
        embedding=flat,
        vectors=TokenVectors.of(drawn),
        source_tokenizer=model.tokenizer,
        target_tokenizer=load_tokenizer(vocabulary / "sentencepiece.bpe.model"),
        text=text.read_text(encoding="utf-8").splitlines(),
    )
