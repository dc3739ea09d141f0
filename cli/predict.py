"""``focus predict``"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import click
from focus_cli.common import interactive, launching, quiet_option, tell
from focus_cli.declared import options_of
from focus_export.run_options import RunOptions

from focus_plugin.forecast.forecast import Launch, begin
from focus_plugin.options import declared


@click.command("predict")
@click.option("--model", required=True, type=Path, help="Directory made by focus export --onnx.")
@click.option(
    "--input",
    "texts",
    required=True,
    multiple=True,
    help="Texts in UTF-8, one per line, possibly compressed as .gz, .xz, .zst or .bz2; a quoted pattern or several "
    "--input for several files, - for standard input. An address such as s3://bucket/texts.txt is read by fsspec.",
)
@click.option(
    "--output",
    required=True,
    help="File to write, such as out.jsonl or s3://bucket/out.parquet; - for standard output.",
)
@click.option(
    "--format",
    "form",
    help="jsonl, npy, parquet, or a format of the model's task, such as txt; by default the suffix of --output.",
)
@options_of(RunOptions, Launch)
@quiet_option
def command(model: Path, texts: tuple[str, ...], output: str, form: str | None, quiet: bool, **options: Any) -> None:
    """Run an exported model on a file of texts. A run that was killed continues when the same command is repeated."""
    from focus_export.growing_file import unfinished_path
    from focus_export.predict_file import forecast_file, output_of, predict_file
    from focus_export.runtime import Predictor

    run = {entry.name: options[entry.name] for entry in declared(RunOptions)}

    @cache
    def load() -> Predictor:
        return Predictor(model, **run)

    begin(forecast_file(model, RunOptions(**run), texts, output, form, load), launching(quiet, options))
    predictor = load()
    start, count = time.perf_counter(), 0

    def rate() -> str:
        return f"{count / (time.perf_counter() - start):.0f} texts"

    @contextmanager
    def phase(label: str, size: int | None) -> Iterator[Callable[[int, int], object]]:
        """A bar that also shows texts per second."""
        with _bar(quiet, label, size) as update:

            def progress(texts: int, done: int) -> None:
                nonlocal count
                count += texts
                update(done, f"{rate()}/s" if texts else "")

            yield progress

    try:
        total = predict_file(predictor, texts, output, form, phase)
    except BaseException:
        if count and (unfinished := unfinished_path(output_of(output))).exists():
            tell(quiet, f"The results so far are in {unfinished}; the same command continues from there.", err=True)
        raise
    where = predictor.model.provider.removesuffix("ExecutionProvider")
    tell(quiet, f"{output}: {total} predictions, {rate()} a second on {where}.", err=output == "-")


@contextmanager
def _bar(quiet: bool, label: str, size: int | None) -> Iterator[Callable[[int, str], object]]:
    """A bar with a text beside it, without an end if ``size`` is None; if there is no terminal, only one line."""
    if not interactive(quiet):
        tell(quiet, f"{label} ...", err=True)
        yield lambda done, say: None
        return
    endless = itertools.repeat("") if size is None else None
    with click.progressbar(endless, size, label, file=sys.stderr, item_show_func=lambda say: say) as bar:
        yield bar.update
