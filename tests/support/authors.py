"""A source encoder and a target vocabulary, for us and for the authors' package, and what theirs makes of them."""

import random
from dataclasses import dataclass
from pathlib import Path

import fasttext
import numpy as np
import torch
from deepfocus import FOCUS
from invoked import run
from tokenizer_kinds import SPECIALS, odd_lines, unigram
from transformers import PreTrainedTokenizerFast

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import write_release
from focus_plugin.vocabulary.readers import read_dictionary

NAMES = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")


@dataclass(frozen=True)
class Pair:
    """A source encoder and a target vocabulary, for us as files and for the authors' package as its arguments."""

    release: Path
    vocabulary: Path
    source: PreTrainedTokenizerFast
    target: PreTrainedTokenizerFast
    tokens: Path
    words: Path


def make_pair(release: Path, source_text: Path, work: Path) -> Pair:
    """A pair in the directory ``work``, whose source has the layers of ``release``."""
    draw = random.Random(1)
    words, library = source_text.read_text().split(), {}
    for side, size in (("source", 400), ("target", 900)):
        lines = [" ".join(line.split()) for line in odd_lines(draw.sample(words, len(words) // 2), draw)]
        (work / f"{side}.txt").write_text("\n".join(lines))
        library[side] = unigram(lines, size, release / "sentencepiece.bpe.model")
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


def source_embeddings(pair: Pair) -> torch.Tensor:
    """The source's rows in the order of its tokenizer for the authors' package."""
    checkpoint = read_checkpoint(pair.release)
    ids = pair.source.get_vocab()
    return checkpoint.tensors[EMBEDDING][
        [checkpoint.vocabulary.ids[token] for token in sorted(ids, key=lambda token: ids[token])]
    ]


def authors(pair: Pair, **options: object) -> dict[str, np.ndarray]:
    """The authors' rows by token."""
    found = FOCUS(pair.target, pair.source, source_embeddings(pair), verbosity="silent", **options)
    return {token: found[i].numpy() for token, i in pair.target.get_vocab().items()}
