"""Vocabularies trained on a file of text."""

from pathlib import Path
from typing import Any

from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import CorpusCounts
from focus_plugin.vocabulary.options import UnigramTraining
from focus_plugin.vocabulary.training import train_vocabulary


def train_on(file: Path, size: int, output: Path, **options: Any) -> CorpusCounts:
    """Train a vocabulary into the existing directory ``output``; ``options``: those of UnigramTraining."""
    text = Text.of(file)
    return train_vocabulary(text, text.content(), size, UnigramTraining(**options), output)
