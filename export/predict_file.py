"""Writes predictions for files with one text per line; a run that was killed is continued."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from focus_plugin import __version__
from focus_plugin.errors import FocusError
from focus_plugin.files import sha256
from focus_plugin.forecast.forecast import Forecast
from focus_plugin.text import STANDARD

from .directory import EXPORT_CONFIG, ExportConfig, read_export
from .forecast import PredictionWork, prediction_forecast
from .formats import Format, ResultError, format_name, make_format
from .growing_file import Destination, Job, LocalOutput, growing_file
from .pipeline import Results
from .run_options import RunOptions
from .runtime import Predictor
from .stored_files import StoredOutput, is_address
from .text_input import TextInput, input_files
from .text_progress import TextPhase, TextProgress, no_text_phase


def predict_file(
    predictor: Predictor,
    inputs: str | Path | Sequence[str | Path],
    output_path: str | Path,
    given_format: str | None = None,
    phase: TextPhase = no_text_phase,
) -> int:
    """Write a prediction for every line of ``inputs``, in order; return their number.

    ``inputs``: one or several names, see :func:`~focus_export.text_input.input_files`. ``output_path`` can be an
    address in an object store, too, and ``-`` is standard input or output. The format is ``given_format`` or that of
    the file name, see :mod:`formats`. Results are appended to ``output_path.unfinished``, which is renamed to
    ``output_path`` at the end; after an interruption the same call continues. ``phase`` is called with the number of
    texts that are done and of their bytes in the input. Raises FocusError, naming file and line, if a line is not
    UTF-8 or is too long for the model, or if its result cannot be written in the format; if ``output_path`` exists; if
    the unfinished file is from another input, model or other options; and if a store cannot be read or written.
    """
    name, form = _format(predictor.model.config, output_path, given_format)
    texts = TextInput(input_files(*([inputs] if isinstance(inputs, str | Path) else inputs)))
    if str(output_path) == STANDARD:
        return _predict_to_stdout(predictor, texts, form, phase)
    return _predict_to_file(predictor, texts, output_of(output_path), name, form, phase)


def forecast_file(
    model: Path,
    options: RunOptions,
    inputs: Sequence[str | Path],
    output_path: str | Path,
    given_format: str | None,
    load: Callable[[], Predictor],
) -> Forecast:
    """What :func:`predict_file` will take; ``load`` gives its predictor, of ``model``. Raises FocusError as it does,
    except for what is found out only by reading the whole input.
    """
    export = read_export(model)
    name, form = _format(export.config, output_path, given_format)
    work = PredictionWork(
        export=export,
        options=options,
        inputs=input_files(*inputs),
        output=None if str(output_path) == STANDARD else output_of(output_path),
        form=form,
        parquet=name == "parquet",
    )
    return prediction_forecast(work, load)


def output_of(name: str | Path) -> Destination:
    """The output with this name, which is a path or an address in an object store."""
    return StoredOutput(str(name)) if is_address(name) else LocalOutput(Path(name))


def _format(config: ExportConfig, output_path: str | Path, given_format: str | None) -> tuple[str, Format]:
    """The format of the output and its name. Raises FocusError if the output cannot be written in it."""
    name = format_name(output_path, given_format, config.head)
    if str(output_path) == STANDARD and name in ("npy", "parquet"):
        raise FocusError(f"The format {name} cannot be written to standard output; give a file.")
    if str(output_path) == STANDARD and sys.stdout is None:
        raise FocusError("Standard output is closed; give a file.")
    return name, make_format(name, Path(output_path).suffix == ".gz", config.head, config.width)


def _predict_to_stdout(predictor: Predictor, texts: TextInput, form: Format, phase: TextPhase) -> int:
    with phase(_label(predictor), texts.bytes) as progress:
        sys.stdout.buffer.write(form.start)
        for results in _windows(predictor, texts, progress):
            sys.stdout.buffer.write(_encoded(form, texts, results))
            sys.stdout.buffer.flush()
            texts.finish(len(results))
        sys.stdout.buffer.write(form.end)
        sys.stdout.buffer.flush()
    return texts.done


def _predict_to_file(
    predictor: Predictor, texts: TextInput, output: Destination, name: str, form: Format, phase: TextPhase
) -> int:
    job = _job(predictor, name, output.place.suffix == ".gz")
    # A run without --truncate can be continued with it: no text so far was too long.
    with growing_file(output, [job, {**job, "truncate": False}], form.start) as grown:
        former = grown.done
        with phase(_label(predictor), texts.bytes) as progress:
            progress(0, texts.skip(former.texts))
            if former.texts and texts.digest != former.digest:
                raise FocusError(
                    f"{texts.name}: its first {former.texts} lines are not those of the predictions in {grown.path}; "
                    f"give the same input, or remove {grown.path} and {grown.path}.json."
                )
            for results in _windows(predictor, texts, progress):
                data = _encoded(form, texts, results)
                texts.finish(len(results))
                grown.append(data, len(results), texts.digest)
        grown.publish(form.finish(grown.path, phase))
    return texts.done


def _encoded(form: Format, texts: TextInput, results: Results) -> bytes:
    """The results of the next window in a format. Raises FocusError, naming file and line, if it cannot have one."""
    try:
        return form.encode(texts.done + 1, results)
    except ResultError as error:
        raise FocusError(f"{texts.place(error.number)}: {error.fault}") from error


def _label(predictor: Predictor) -> str:
    return f"Predicting on {predictor.model.provider.removesuffix('ExecutionProvider')}"


def _job(predictor: Predictor, form: str, compressed: bool) -> Job:
    model = predictor.model
    return {
        "model": sha256(model.directory / EXPORT_CONFIG),
        "format": form,
        "compressed": compressed,
        "token_budget": model.token_budget,
        "provider": model.provider,
        "onnxruntime": onnxruntime.__version__,
        "focus-fairseq": __version__,
        "truncate": predictor.truncate,
    }


def _windows(predictor: Predictor, texts: TextInput, progress: TextProgress) -> Iterator[Results]:
    """Predictions of the texts that are not done. Each window must be finished before the next one is requested."""
    done = texts.done
    return predictor.windows(
        _samples(predictor, texts, done),
        lambda number: texts.place(done + number),
        lambda indices: progress(len(indices), texts.size(indices)),
    )


def _samples(predictor: Predictor, texts: TextInput, done: int) -> Iterator[Any]:
    """The sample on each line after the first ``done``. Raises FocusError, naming file and line, if it has none."""
    for number, text in enumerate(texts, done + 1):
        try:
            sample = predictor.head.sample(text)
        except FocusError as error:
            raise FocusError(f"{texts.place(number)}: {error}") from error
        yield sample
