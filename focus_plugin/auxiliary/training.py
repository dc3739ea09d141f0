"""fastText vectors of the target's tokens, trained on text as the target vocabulary cuts it."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from focus_plugin.auxiliary.alignment import TokenVectors, align
from focus_plugin.auxiliary.fasttext_files import model_vectors
from focus_plugin.auxiliary.options import FastTextOptions
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.interruptible import interruptible
from focus_plugin.vocabulary.encoding import write_pieces
from focus_plugin.vocabulary.tokenizers import Tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary


def train_vectors(
    corpus: str | Path,
    tokenizer: Tokenizer,
    target: Vocabulary,
    options: FastTextOptions,
    progress: Progress = silent,
    model_path: Path | None = None,
    verbose: bool = False,
) -> TokenVectors:
    """CBOW vectors of the target's tokens; those rarer than ``minimum_count`` have that of their n-grams.

    ``progress`` is called with the bytes of the corpus encoded; ``verbose`` lets fastText show its own progress.
    The whole fastText model is kept at ``model_path`` if that is given. Raises FocusError if no token is frequent
    enough or training diverges.
    """
    import fasttext

    with tempfile.TemporaryDirectory(prefix="focus-") as directory:
        pieces = Path(directory) / "pieces.txt"
        write_pieces(corpus, tokenizer, pieces, progress)
        if not pieces.stat().st_size:
            raise FocusError(f"{corpus}: the corpus is empty; it needs at least one line of text.")
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
                    verbose=2 if verbose else 0,
                )
            )
        except (ValueError, RuntimeError, MemoryError) as error:
            raise FocusError(_failure(corpus, options, str(error))) from error
    if model_path:
        model.save_model(str(model_path))
    return align(model_vectors(model, target), target)


def _failure(corpus: str | Path, options: FastTextOptions, message: str) -> str:
    if "Empty vocabulary" in message:
        return f"{corpus}: no token occurs {options.minimum_count} times; give more text or lower --min-count."
    return f"{corpus}: fastText could not train on it with {asdict(options)}: {message}"
