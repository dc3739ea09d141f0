"""``focus export``"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from focus_cli.common import given_options, launching, phases, quiet_option, refuse, tell
from focus_cli.declared import click_option, options_of

from focus_plugin.forecast.forecast import Launch
from focus_plugin.jobs.export_options import OnnxExport, column_options, head_options
from focus_plugin.options import build, declared

FORMS = ("onnx", "hf", "triton")
OF_LAUNCH = tuple(entry.name for entry in declared(Launch))
OF_ONNX = tuple(entry.name for entry in declared(OnnxExport))


class Export(click.Command):
    """A command that also has the options of the tasks' heads, which are found when they are needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the command, and those of all heads."""
        return [*super().get_params(ctx), *map(click_option, head_options())]


@click.command("export", cls=Export)
@click.option("--onnx", is_flag=True, help="Write an ONNX model for ONNX Runtime.")
@click.option("--hf", is_flag=True, help="Write a directory that transformers loads.")
@click.option("--triton", is_flag=True, help="Write a model repository for Triton Inference Server.")
@click.option(
    "--model",
    required=True,
    type=Path,
    help="Directory of an encoder, or of a model made by focus finetune. For --triton, a directory made by --onnx.",
)
@click.option("--output", required=True, type=Path, help="Directory to make.")
@options_of(OnnxExport, Launch)
@quiet_option
@click.pass_context
def command(context: click.Context, /, model: Path, output: Path, quiet: bool, **options: Any) -> None:
    """Export a model for ONNX Runtime, for transformers or for Triton.

    Options that have no effect with this form or for the task of the model are refused.
    """
    forms = [form for form in FORMS if options.pop(form)]
    if len(forms) != 1:
        raise click.UsageError("Give one of --onnx, --hf and --triton.")
    heads = {entry.name for entry in head_options()}
    useless = {"onnx": (), "hf": OF_ONNX, "triton": (*OF_ONNX, *OF_LAUNCH, *sorted(heads))}
    refuse(context, useless[forms[0]], f"has no effect with --{forms[0]}; leave it out.")
    launch = launching(quiet, options)
    head = {name: options[name] for name in heads & given_options(context)}
    if forms == ["hf"]:
        from focus_plugin.jobs.export_huggingface import export_huggingface

        with phases(quiet)("Exporting", 1):
            found = export_huggingface(model, output, head, launch).counts
        tell(quiet, f"{output}: {found['tokens']} tokens, for transformers.")
        if found["factors"]:
            tell(quiet, "Its factorized embedding was multiplied out, because transformers has no XLM-R with one.")
    elif forms == ["triton"]:
        from focus_plugin.jobs.export_triton import export_triton

        with phases(quiet)("Exporting", 1):
            models = export_triton(model, output).counts["models"]
        tell(quiet, f"{output}: the models {' and '.join(models)}, for Triton.")
    else:
        _check(context, **options)
        _onnx(build(OnnxExport, {**options, "model": model, "head": head}), output, quiet, launch)


def _check(
    context: click.Context, precision: str, valid: tuple[Path, ...], keep_tokens_of: tuple[Path, ...], **options: Any
) -> None:
    """Raise UsageError for options that need others."""
    if precision != "int8":
        refuse(context, ["activation_ranges_of"], "has no effect without --precision int8.")
    if precision == "fp32" and not keep_tokens_of:
        refuse(context, ["valid"], "has no effect without --precision or --keep-tokens-of.")
    if precision != "fp32" and not valid:
        raise click.UsageError(f"--precision {precision} requires --valid, on which its loss is measured.")
    if not valid:
        refuse(context, ["max_loss", *(entry.name for entry in column_options())], "has no effect without --valid.")


def _onnx(job: OnnxExport, output: Path, quiet: bool, launch: Launch) -> None:
    from focus_plugin.jobs.export import export_onnx

    found = export_onnx(job, output, phases(quiet), launch).counts
    lines = [f"{output}: largest difference to PyTorch {found['largest_difference_to_pytorch']:.1e}."]
    if job.keep_tokens_of:
        lines.append(f"{found['tokens']} of {found['checkpoint_tokens']} tokens are kept.")
    tell(quiet, *lines, *(_judged(job, found) if job.valid else ()))


def _judged(job: OnnxExport, found: Mapping[str, Any]) -> list[str]:
    exact = "fp32 with all tokens" if job.keep_tokens_of else "fp32"
    return [
        *(
            f"{name.replace('_', '-')} as {job.precision} {reduced:.3f} ({exact}: {whole:.3f})"
            for name, (whole, reduced) in found["scores"].items()
        ),
        f"Measured on {found['valid_samples']} samples, computed on {found['judged_on']}.",
        f"{found['bytes'] / 1e6:.1f} MB ({exact}: {found['fp32_bytes'] / 1e6:.1f} MB).",
    ]
