"""``focus predict``"""

import time
from pathlib import Path

import click
from focus_cli.common import phases, quiet_option, tell


@click.command("predict")
@click.option("--model", required=True, type=Path, help="Directory made by focus export --onnx.")
@click.option("--input", "texts", required=True, type=Path, help="Texts, one a line, UTF-8.")
@click.option("--output", required=True, type=Path, help="JSON Lines file to write, one line a text.")
@click.option("--truncate", is_flag=True, help="Cut texts longer than the model reads, instead of refusing them.")
@click.option("--threads", type=click.IntRange(min=1), help="Of one operator; all cores unless given.")
@quiet_option
def command(model: Path, texts: Path, output: Path, truncate: bool, threads: int | None, quiet: bool) -> None:
    """Run an exported model over a file of texts."""
    from focus_export.predict_file import predict_file
    from focus_export.runtime import Predictor

    from focus_plugin.files import existing_file

    size = existing_file(texts).stat().st_size
    predictor = Predictor(model, threads=threads, truncate=truncate)
    start = time.perf_counter()
    with phases(quiet)("Predicting", size) as progress:
        count = predict_file(predictor, texts, output, progress)
    rate = count / (time.perf_counter() - start)
    tell(quiet, f"{output}: {count} predictions, {rate:.0f} texts a second.")
