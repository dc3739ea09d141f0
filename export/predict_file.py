"""Predictions for a file of texts, one a line, that go on where they were when they were killed."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from focus_plugin import __version__
from focus_plugin.errors import FocusError
from focus_plugin.files import sha256
from focus_plugin.text import STANDARD, named_files

from .directory import CONFIG
from .formats import Format, format_name, make_format
from .progress import Phase, Progress, no_phase
from .runtime import Predictor
from .text_input import TextInput
from .unfinished import Job, unfinished_file


def predict_file(
    predictor: Predictor,
    inputs: str | Path | Sequence[str | Path],
    output_path: str | Path,
    given_format: str | None = None,
    phase: Phase = no_phase,
) -> int:
    """Write a prediction for every line of ``inputs``, one file or several, in their order; return their number.

    ``inputs`` are names as :func:`focus_plugin.text.named_files` takes them. ``-`` is standard input or output. The
    format is that of the file name or ``given_format``, see :mod:`formats`. ``output_path`` appears when it is whole;
    until then ``output_path.unfinished`` grows, and if the run ends early the same call goes on from there. A ``phase``
    is told the texts predicted and the bytes of the input they took. Raises FocusError, naming the file and line, where
    a line is not UTF-8 or is too long for the model; if ``output_path`` exists; and if an unfinished run was of another
    input or job.
    """
    name = format_name(output_path, given_format)
    if str(output_path) == STANDARD and name in ("npy", "parquet"):
        raise FocusError(f"The format {name} cannot be written to standard output; give a file.")
    if str(output_path) == STANDARD and sys.stdout is None:
        raise FocusError("Standard output is closed; give a file.")
    form = make_format(name, Path(output_path).suffix == ".gz", predictor.config, predictor.encoder.size)
    texts = TextInput(named_files(*([inputs] if isinstance(inputs, str | Path) else inputs)))
    if str(output_path) == STANDARD:
        return _predict_to_stdout(predictor, texts, form, phase)
    return _predict_to_file(predictor, texts, Path(output_path), name, form, phase)


def _predict_to_stdout(predictor: Predictor, texts: TextInput, form: Format, phase: Phase) -> int:
    with phase(_label(predictor), texts.bytes) as progress:
        for rows in _windows(predictor, texts, progress):
            sys.stdout.buffer.write(form.encode(texts.done + 1, rows))
            sys.stdout.buffer.flush()
            texts.finish(len(rows))
    return texts.done


def _predict_to_file(
    predictor: Predictor, texts: TextInput, output: Path, name: str, form: Format, phase: Phase
) -> int:
    job = _job(predictor, name, output.suffix == ".gz")
    # what was done without truncating had nothing to truncate
    with unfinished_file(output, [job, {**job, "truncate": False}], form.start) as unfinished:
        former = unfinished.done
        with phase(_label(predictor), texts.bytes) as progress:
            progress(0, texts.skip(former.texts))
            if former.texts and texts.digest != former.digest:
                raise FocusError(
                    f"{texts.name}: its first {former.texts} lines are not those that {unfinished.path} has "
                    f"predictions for; give the same input, or remove {unfinished.path} and {unfinished.path}.json."
                )
            for rows in _windows(predictor, texts, progress):
                data = form.encode(texts.done + 1, rows)
                texts.finish(len(rows))
                unfinished.append(data, len(rows), texts.digest)
        unfinished.publish(form.finish(unfinished.path, phase))
    return texts.done


def _label(predictor: Predictor) -> str:
    return f"Predicting on {predictor.encoder.provider.removesuffix('ExecutionProvider')}"


def _job(predictor: Predictor, form: str, compressed: bool) -> Job:
    encoder = predictor.encoder
    return {
        "model": sha256(encoder.directory / CONFIG),
        "format": form,
        "compressed": compressed,
        "token_budget": encoder.token_budget,
        "provider": encoder.provider,
        "onnxruntime": onnxruntime.__version__,
        "focus-fairseq": __version__,
        "truncate": encoder.truncate,
    }


def _windows(predictor: Predictor, texts: TextInput, progress: Progress) -> Iterator[np.ndarray]:
    """Predictions of the texts that are not done; each has to be finished before the next is asked for."""
    done = texts.done
    return predictor.windows(
        texts,
        lambda number: texts.place(done + number),
        lambda indices: progress(len(indices), texts.size(indices)),
    )
