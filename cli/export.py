"""``focus export``"""

from pathlib import Path
from typing import Any

import click
from focus_cli.common import phases, quiet_option, refuse, tell

FORMS = ("onnx", "hf", "triton")
JUDGING = ("label_column", "text_column", "max_loss")
OF_ONNX = ("precision", "validation", *JUDGING, "calibration", "keep_tokens_of", "hidden_states", "tolerance")
USELESS = {"onnx": (), "hf": OF_ONNX, "triton": ("pooling", *OF_ONNX)}


@click.command("export")
@click.option("--onnx", is_flag=True, help="As an ONNX graph for ONNX Runtime.")
@click.option("--hf", is_flag=True, help="As a directory that transformers loads.")
@click.option("--triton", is_flag=True, help="As a model repository for Triton Inference Server.")
@click.option(
    "--model",
    required=True,
    type=Path,
    help="Encoder or classification model: a directory. For --triton one made by --onnx.",
)
@click.option("--output", required=True, type=Path, help="Directory to make.")
@click.option("--pooling", type=click.Choice(["mean", "first"]), help="For encoders without a head; mean unless given.")
@click.option(
    "--precision",
    default="fp32",
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
    help="ONNX: of the matrix products; fp16 and bf16 are for GPUs, int8 for CPUs.",
)
@click.option(
    "--validation",
    type=Path,
    help="ONNX: a table with labels, or texts, to judge by what less precision or fewer tokens lose.",
)
@click.option("--label-column", default="label", help="Of the validation table.")
@click.option("--text-column", default="text", help="Of the validation table.")
@click.option(
    "--max-loss",
    default=0.01,
    type=click.FloatRange(min=0),
    help="ONNX: relative loss of accuracy, or of embeddings' cosine, above which nothing is written.",
)
@click.option("--calibration", type=Path, help="ONNX, int8: text to fix scales by, unless that loses more.")
@click.option("--keep-tokens-of", type=Path, help="ONNX: leave out the tokens that this text has no use for.")
@click.option("--hidden-states", is_flag=True, help="ONNX: have the model give the hidden states of all tokens too.")
@click.option("--tolerance", default=1e-4, type=click.FloatRange(min=0), help="ONNX: largest difference to PyTorch.")
@quiet_option
@click.pass_context
def command(context: click.Context, /, model: Path, output: Path, quiet: bool, **options: Any) -> None:
    """Export a model: for serving, verified against PyTorch, for transformers, or for Triton."""
    forms = [form for form in FORMS if options.pop(form)]
    if len(forms) != 1:
        raise click.UsageError("Say as what: --onnx, --hf or --triton, one of them.")
    refuse(context, USELESS[forms[0]], f"does nothing for --{forms[0]}; leave it out.")
    if forms == ["hf"]:
        from focus_plugin.jobs.export_huggingface import export_huggingface

        with phases(quiet)("Exporting", 1):
            found = export_huggingface(model, output, options["pooling"]).counts
        tell(quiet, f"{output}: {found['tokens']} tokens, for transformers.")
    elif forms == ["triton"]:
        from focus_plugin.jobs.export_triton import export_triton

        with phases(quiet)("Exporting", 1):
            models = export_triton(model, output).counts["models"]
        tell(quiet, f"{output}: the models {' and '.join(models)}, for Triton.")
    else:
        _onnx(context, model, output, quiet, **options)


def _onnx(
    context: click.Context,
    model: Path,
    output: Path,
    quiet: bool,
    pooling: str | None,
    precision: str,
    validation: Path | None,
    label_column: str,
    text_column: str,
    max_loss: float,
    calibration: Path | None,
    keep_tokens_of: Path | None,
    hidden_states: bool,
    tolerance: float,
) -> None:
    if precision != "int8":
        refuse(context, ["calibration"], "fixes the scales of --precision int8.")
    if precision == "fp32" and not keep_tokens_of:
        refuse(context, ["validation"], "judges what --precision or --keep-tokens-of lose; give one of these.")
    if precision != "fp32" and not validation:
        raise click.UsageError(
            f"--precision {precision} loses something; say with --validation on what to measure how much."
        )
    if not validation:
        refuse(context, JUDGING, "is about --validation; give that, too.")
    from focus_plugin.jobs.export import Export, export_onnx
    from focus_plugin.jobs.reduction import Reduction

    reduction = None
    if validation:
        reduction = Reduction(precision, validation, label_column, text_column, max_loss, calibration)
    job = Export(model, pooling, tolerance, hidden_states, keep_tokens_of, reduction)
    found = export_onnx(job, output, phases(quiet)).counts
    lines = [f"{output}: largest difference to PyTorch {found['largest_difference_to_pytorch']:.1e}."]
    if keep_tokens_of:
        lines.append(f"{found['tokens']} of {found['checkpoint_tokens']} tokens are kept.")
    if reduction:
        exact = "fp32 with all tokens" if keep_tokens_of else "fp32"
        lines += [
            f"{name.replace('_', '-')} as {precision} {100 * reduced:.1f} % ({exact}: {100 * whole:.1f} %)"
            for name, (whole, reduced) in found["scores"].items()
        ]
        lines.append(f"Judged by {found['validation_texts']} texts on {found['judged_on']}.")
        lines.append(f"{found['bytes'] / 1e6:.1f} MB ({exact}: {found['fp32_bytes'] / 1e6:.1f} MB).")
    tell(quiet, *lines)
