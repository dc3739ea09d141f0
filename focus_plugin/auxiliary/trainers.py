"""Trains auxiliary embeddings with the trainer that the options name."""

from pathlib import Path

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.options import FASTTEXT
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.progress import Phase


def train_vectors(job: VectorTraining, phase: Phase, model: Path | None = None) -> TokenVectors:
    """Train vectors of the target's tokens; tokens that are too rare in the text are marked as rare.

    ``model``: where to save the whole model if the trainer is fastText. Raises FocusError if no token is frequent
    enough, or if fastText diverges.
    """
    if job.options.trainer == FASTTEXT:
        from focus_plugin.auxiliary.fasttext_trainer import fasttext_vectors

        return fasttext_vectors(job, phase, model)
    from focus_plugin.auxiliary.neighbors import neighbor_vectors

    return neighbor_vectors(job, phase)
