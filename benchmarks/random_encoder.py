"""An encoder with random weights, to pretrain from the beginning, or with random embeddings of tokens only."""

from pathlib import Path

import torch

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import (
    EMBEDDING,
    OUTPUT_BIAS,
    OUTPUT_EMBEDDING,
    POSITIONS,
    expected_names,
    expected_shape,
)
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import write_release
from focus_plugin.files import whole_directory
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE
from focus_plugin.vocabulary.readers import read_dictionary


def write_random_encoder(
    output: Path, config: EncoderConfig, vocabulary: Path, seed: int, start: Path | None = None
) -> Path:
    """``output``, a release with random weights and the vocabulary in the directory ``vocabulary``; made if absent.

    ``start``: a release of this shape; all its weights are kept but those of tokens, which are as large as its own.
    """
    if not output.exists():
        draw = torch.Generator().manual_seed(seed)
        rows = len(read_dictionary(vocabulary / DICTIONARY))
        weights = {}
        for name in expected_names(config.layers):
            sizes = ((rows, config.width), config.max_positions + 2, config.width, config.feedforward)
            shape = expected_shape(name, *sizes)
            norm = "norm" in name and name.endswith("weight")
            weights[name] = torch.ones(shape) if norm else torch.zeros(shape)
            if len(shape) > 1:
                weights[name] = torch.randn(shape, generator=draw) * shape[1] ** -0.5
        weights[POSITIONS][1] = 0  # of padding
        if start:
            kept = dict(read_checkpoint(start).tensors)
            weights[EMBEDDING] *= kept.pop(EMBEDDING).std() / weights[EMBEDDING].std()
            weights |= {name: weight for name, weight in kept.items() if name not in (OUTPUT_EMBEDDING, OUTPUT_BIAS)}
        weights[OUTPUT_EMBEDDING] = weights[EMBEDDING]
        with whole_directory(output) as new:
            write_release(new, config, weights, vocabulary / DICTIONARY, vocabulary / SENTENCEPIECE)
    return output
