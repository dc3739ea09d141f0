"""Trains fastText vectors of tokens on text that the target's tokenizer has cut (FOCUS paper, section 3.2)."""

from pathlib import Path

from focus_plugin.auxiliary.alignment import TokenVectors, align
from focus_plugin.auxiliary.fasttext_files import model_vectors
from focus_plugin.auxiliary.training import VectorTraining
from focus_plugin.errors import FocusError
from focus_plugin.interruptible import interruptible
from focus_plugin.progress import Phase
from focus_plugin.vocabulary.encoding import write_pieces


def fasttext_vectors(job: VectorTraining, phase: Phase, model_path: Path | None = None) -> TokenVectors:
    """CBOW vectors of the target's tokens. Tokens rarer than the minimum count have the vector of their n-grams.

    The whole fastText model is saved to ``model_path`` if that is given. Raises FocusError if no token is frequent
    enough or the training diverges.
    """
    import fasttext

    options, pieces = job.options, job.scratch / "pieces.txt"
    with phase("Encoding for fastText", job.corpus.bytes) as progress:
        write_pieces(job.lines(progress), job.tokenizer, pieces)
    if not pieces.stat().st_size:
        raise FocusError(job.no_text())
    try:
        model = interruptible(
            lambda: fasttext.train_unsupervised(
                str(pieces),
                model="cbow",
                dim=options.dimension,
                epoch=options.epochs,
                minCount=options.minimum_count,
                neg=options.negatives,
                thread=options.threads,
                verbose=2 if job.verbose else 0,
            )
        )
    except (ValueError, RuntimeError, MemoryError) as error:
        if "Empty vocabulary" in str(error):
            raise FocusError(job.no_frequent_token()) from error
        raise FocusError(f"{job.corpus}: fastText could not train on it with {options.effective()}: {error}") from error
    if model_path:
        model.save_model(str(model_path))
    return align(model_vectors(model, job.target), job.target)
