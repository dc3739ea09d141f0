"""The embedded sample's encoder and Swahili text, as methods that learn rows through the model are given them."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from focus_plugin.auxiliary.options import VectorOptions
from focus_plugin.auxiliary.trainers import train_vectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.checkpoint.forward import hidden_states
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.jobs.vocabulary import make_vocabulary
from focus_plugin.learning.encoder import prediction_loss
from focus_plugin.learning.text import masked, text_samples, token_ids
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.mixing import Mixing
from focus_plugin.mixing.rows import Rows
from focus_plugin.progress import no_phase
from focus_plugin.text import Text
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.calibration import Calibration, calibrated_bias
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer

SAMPLE = Path(__file__).parents[2] / "sample"


@dataclass(frozen=True)
class SampleEncoder:
    """What a method is given, and text that it does not read."""

    given: Given
    held_out: list[str]

    def loss(self, made: Mixing | Rows) -> float:
        """The masked-LM loss on the held-out text with the rows of a method and a calibrated bias."""
        given = self.given
        ids = token_ids([list(given.text)], given.target_tokenizer, given.target, 50_000)
        tensors = apply(given.model.tensors, made, seed=1).tensors
        how = Calibration(tokens=8192, kept=np.zeros(len(given.target), dtype=bool), seed=1)
        tensors[OUTPUT_BIAS] = calibrated_bias(given.model.config, tensors, given.target, ids, how)
        valid = token_ids([self.held_out], given.target_tokenizer, given.target, 10_000)
        samples = text_samples(valid, given.target, given.model.config.max_positions)
        read, predicted = masked(samples, given.target, torch.Generator().manual_seed(1))
        with torch.inference_mode():
            states = hidden_states(given.model.config, tensors, read)
            return prediction_loss(tensors, states[predicted], samples[predicted]).item()


def sample_encoder(folder: Path) -> SampleEncoder:
    """The encoder of the sample with a vocabulary and auxiliary embeddings from generated Swahili text."""
    command = [
        sys.executable,
        SAMPLE / "generate.py",
        "--output",
        folder / "text",
        "--seed",
        "3",
        "--lines",
        "swa=1500",
    ]
    subprocess.run(command, check=True)
    text = Text.of(folder / "text" / "swa.train.txt")
    make_vocabulary(text, 1500, folder / "vocab")
    target = read_dictionary(folder / "vocab" / "dict.txt")
    tokenizer = load_tokenizer(folder / "vocab" / "sentencepiece.bpe.model")
    training = VectorTraining(
        corpus=text, tokenizer=tokenizer, target=target, options=VectorOptions(), seed=1, scratch=folder
    )
    model = read_checkpoint(SAMPLE / "source")
    given = Given(
        source=model.vocabulary,
        target=target,
        model=model,
        embedding=model.tensors[EMBEDDING],
        vectors=train_vectors(training, no_phase),
        source_tokenizer=model.tokenizer,
        target_tokenizer=tokenizer,
        text=list(text.lines()),
    )
    held_out = (folder / "text" / "swa.valid.txt").read_text(encoding="utf-8").splitlines()
    return SampleEncoder(given, held_out)
