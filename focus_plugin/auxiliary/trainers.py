"""Auxiliary vectors from the trainer that the options name."""

from pathlib import Path

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.options import FASTTEXT
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.progress import Phase


def train_vectors(job: VectorTraining, phase: Phase, model: Path | None = None) -> TokenVectors:
    """Vectors of the target's tokens; those of tokens too rare in the text are marked.

    ``model``: where to keep the whole model, if the trainer is fastText. Raises FocusError if no token is frequent
    enough, and if fastText diverges.
    """
    if job.options.trainer == FASTTEXT:
        from focus_plugin.auxiliary.fasttext_trainer import fasttext_vectors

        return fasttext_vectors(job, phase, model)
    from focus_plugin.auxiliary.neighbors import neighbor_vectors

    return neighbor_vectors(job, phase)
