"""``focus finetune``"""

from pathlib import Path

import click
from focus_cli.common import quiet_option, seed_option, tell
from focus_cli.training import cpu_option, extra_argument, learning_rate_option, watching


@click.group("finetune")
def command() -> None:
    """Fine-tune an encoder for a task."""


@command.command("classification")
@click.option("--model", required=True, type=Path, help="Encoder directory.")
@click.option("--train", required=True, type=Path, help="Tab-separated table with a header.")
@click.option("--valid", required=True, type=Path, help="Another such table; the best checkpoint is chosen on it.")
@click.option("--output", required=True, type=Path, help="Directory to make: a fairseq release with labels.txt.")
@click.option("--label-column", default="label", help="Column with the labels.")
@click.option("--text-column", default="text", help="Column with the texts.")
@click.option("--truncate", is_flag=True, help="Cut texts longer than the encoder reads, instead of refusing them.")
@click.option("--epochs", default=10, type=click.IntRange(min=1), help="Passes over the table.")
@click.option("--batch-size", default=32, type=click.IntRange(min=1), help="Texts of one update.")
@learning_rate_option(2e-5)
@cpu_option
@seed_option
@quiet_option
@extra_argument
def classification(
    model: Path,
    train: Path,
    valid: Path,
    output: Path,
    label_column: str,
    text_column: str,
    truncate: bool,
    epochs: int,
    batch_size: int,
    lr: float,
    cpu: bool,
    seed: int,
    quiet: bool,
    extra: tuple[str, ...],
) -> None:
    """Fine-tune an encoder to classify texts.

    Options after -- go to fairseq-train and override what is chosen here. An interrupted training goes on when the
    same command is given again.
    """
    from focus_plugin.jobs.finetune import Classification, finetune_classification

    job = Classification(
        model=model,
        train=train,
        valid=valid,
        label_column=label_column,
        text_column=text_column,
        truncate=truncate,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=lr,
        seed=seed,
        cpu=cpu,
        extra=extra,
    )
    with watching(quiet) as watcher:
        counts = finetune_classification(job, output, watcher).counts
    tell(
        quiet,
        f"{output}: accuracy {100 * counts['valid_accuracy']:.1f} %, macro-F1 {100 * counts['valid_macro_f1']:.1f} % "
        f"on {counts['valid_texts']} validation texts.",
    )
