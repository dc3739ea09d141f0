"""A small source model, text and tables for the tests of the fairseq side, all made on the spot."""

import random
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import torch
from vocabularies import train_on

import focus_plugin
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.release_state import release_state
from focus_plugin.masked_lm.data import prepare_masked_lm
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import DICTIONARY
from focus_plugin.vocabulary.readers import read_dictionary

CONFIG = EncoderConfig(layers=2, width=32, feedforward=64, attention_heads=2, max_positions=62)
USER_DIR = Path(focus_plugin.__file__).parent
PLUGIN = ("--user-dir", str(USER_DIR), "--task", "focus_masked_lm")


@dataclass(frozen=True)
class World:
    """root: where everything lies. source: a release directory of shape CONFIG with random weights.
    train, valid: text, a sentence a line."""

    root: Path
    source: Path
    train: Path
    valid: Path


def make_world(root: Path) -> World:
    """Write a ``World`` below ``root``."""
    draw = random.Random(5)
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvwz" for vowel in "aeiou"]
    lexicon = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(400)]
    train, valid, source = root / "train.txt", root / "valid.txt", root / "source"
    for path, lines in ((train, 600), (valid, 60)):
        sentences = (" ".join(draw.choices(lexicon, k=draw.randint(3, 12))) for _ in range(lines))
        path.write_text("".join(f"{sentence.capitalize()}.\n" for sentence in sentences), encoding="utf-8")
    source.mkdir()
    train_on(train, 300, source)
    tokens = len(read_dictionary(source / DICTIONARY))
    torch.save(release_state(CONFIG, random_weights(tokens)), source / "model.pt")
    return World(root, source, train, valid)


def random_weights(tokens: int) -> dict[str, torch.Tensor]:
    """Weights of a RoBERTa of shape CONFIG under fairseq's names."""
    draw = torch.Generator().manual_seed(7)
    width, inner = CONFIG.width, CONFIG.feedforward
    encoder, head = "encoder.sentence_encoder.", "encoder.lm_head."
    shapes = {
        f"{encoder}embed_tokens.weight": (tokens, width),
        f"{encoder}embed_positions.weight": (CONFIG.max_positions + 2, width),
        f"{head}bias": (tokens,),
    }
    norms = [f"{encoder}layernorm_embedding", f"{head}layer_norm"]
    linear = {f"{head}dense": (width, width)}
    for i in range(CONFIG.layers):
        layer = f"{encoder}layers.{i}."
        norms += [f"{layer}self_attn_layer_norm", f"{layer}final_layer_norm"]
        linear |= {f"{layer}self_attn.{name}_proj": (width, width) for name in ("k", "v", "q", "out")}
        linear |= {f"{layer}fc1": (inner, width), f"{layer}fc2": (width, inner)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    weights = {name: 0.1 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    for name in norms:
        weights |= {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}
    weights[f"{head}weight"] = weights[f"{encoder}embed_tokens.weight"]
    return weights


def prepare_data(world: World, data: Path, vocabulary: Path | None = None) -> Path:
    """Make the directory ``data`` of both texts of a world, with its own or another vocabulary."""
    data.mkdir()
    texts = {"train": Text.of(world.train), "valid": Text.of(world.valid)}
    prepare_masked_lm(vocabulary or world.source, texts, data)
    return data


def script(name: str) -> str:
    """The path of a command that is installed beside the interpreter running the tests."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def run(*command: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its output, errors included, is ``stdout``."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def train_options(data: Path, save_dir: Path, updates: int) -> list[object]:
    """Options with which fairseq-train takes a few steps of masked LM on the CPU.

    Without a thread that reads ahead: it may be in C++ when Python ends after so few steps, which aborts the process.
    """
    return [
        *(data, "--criterion", "masked_lm", "--tokens-per-sample", CONFIG.max_positions, "--max-tokens", 500),
        *("--optimizer", "adam", "--lr", 1e-3, "--lr-scheduler", "polynomial_decay", "--total-num-update", 1000),
        *("--cpu", "--log-format", "json", "--log-interval", 1, "--max-update", updates, "--save-dir", save_dir),
        *("--no-epoch-checkpoints", "--disable-validation", "--num-workers", 0),
        *("--data-buffer-size", 0),
    ]
