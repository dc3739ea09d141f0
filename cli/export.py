"""``focus export``"""

from pathlib import Path

import click
from focus_cli.common import phases, quiet_option, tell


@click.command("export")
@click.option("--onnx", "form", flag_value="onnx", help="As an ONNX graph for ONNX Runtime.")
@click.option("--hf", "form", flag_value="hf", help="As a directory that transformers loads.")
@click.option("--model", required=True, type=Path, help="Encoder or classification model: a directory.")
@click.option("--output", required=True, type=Path, help="Directory to make.")
@click.option(
    "--pooling", default="mean", type=click.Choice(["mean", "first"]), help="ONNX: for encoders without a head."
)
@click.option("--tolerance", default=1e-4, type=click.FloatRange(min=0), help="ONNX: largest difference to PyTorch.")
@quiet_option
def command(form: str | None, model: Path, output: Path, pooling: str, tolerance: float, quiet: bool) -> None:
    """Export a model: for serving, verified against PyTorch, or for transformers."""
    if form is None:
        raise click.UsageError("Say as what: --onnx or --hf.")
    if form == "hf":
        from focus_plugin.jobs.export_huggingface import export_huggingface

        with phases(quiet)("Exporting", 1):
            found = export_huggingface(model, output).counts
        tell(quiet, f"{output}: {found['tokens']} tokens, for transformers.")
        return
    from focus_plugin.jobs.export import Export, export_onnx

    with phases(quiet)("Exporting and verifying", 1):
        counts = export_onnx(Export(model, pooling, tolerance), output).counts
    tell(quiet, f"{output}: largest difference to PyTorch {counts['largest_difference_to_pytorch']:.1e}.")
