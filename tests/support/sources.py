"""A small multilingual encoder with random weights, in both layouts in which such encoders are released."""

import random
from pathlib import Path

import torch
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.huggingface import read_huggingface
from focus_plugin.checkpoint.release import write_release
from focus_plugin.jobs.vocabulary import make_vocabulary
from focus_plugin.text import Text

CONFIG = EncoderConfig(layers=2, width=32, feedforward=64, attention_heads=4, max_positions=64)
SYLLABLES = [
    c + v for c in ("b", "ch", "d", "f", "g", "j", "k", "l", "m", "n", "ng", "p", "r", "s", "t") for v in "aeiou"
]


def write_text(path: Path, lines: int, seed: int, words: int = 400) -> Path:
    """Text of made-up words whose frequencies fall as in real text and whose neighbours are not independent."""
    draw = random.Random(seed)
    lexicon = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(words)]
    weights = [1 / (rank + 1) for rank in range(words)]
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(lines):
            topic = draw.randrange(8)
            chosen = draw.choices(lexicon[topic::8], weights[topic::8], k=draw.randint(3, 14))
            file.write(" ".join(chosen).capitalize() + ".\n")
    return path


def write_hugging_face(directory: Path, corpus: Path, size: int = 600, seed: int = 1) -> Path:
    """An XLM-R directory: config.json, model.safetensors, sentencepiece.bpe.model. No tensor is at its default."""
    vocabulary = directory.parent / f"{directory.name}.vocabulary"
    make_vocabulary(Text.of(corpus), size, vocabulary)
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=size + 2,
        hidden_size=CONFIG.width,
        num_hidden_layers=CONFIG.layers,
        num_attention_heads=CONFIG.attention_heads,
        intermediate_size=CONFIG.feedforward,
        max_position_embeddings=CONFIG.max_positions + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    model = XLMRobertaForMaskedLM(config)
    for name, parameter in model.named_parameters():
        mean = 1.0 if "LayerNorm.weight" in name or "layer_norm.weight" in name else 0.0
        torch.nn.init.normal_(parameter.data, mean, 0.3)
    torch.nn.init.zeros_(model.roberta.embeddings.token_type_embeddings.weight)
    model.save_pretrained(directory)
    (directory / "sentencepiece.bpe.model").write_bytes((vocabulary / "sentencepiece.bpe.model").read_bytes())
    return directory


def write_fairseq(directory: Path, hugging_face: Path) -> Path:
    """The same encoder as fairseq releases it."""
    checkpoint = read_huggingface(hugging_face)
    vocabulary = hugging_face.parent / f"{hugging_face.name}.vocabulary"
    directory.mkdir()
    write_release(
        directory,
        checkpoint.config,
        checkpoint.tensors,
        vocabulary / "dict.txt",
        vocabulary / "sentencepiece.bpe.model",
    )
    return directory
