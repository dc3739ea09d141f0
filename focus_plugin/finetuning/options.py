"""The options that all tasks have for fine-tuning and evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from focus_plugin.options import option
from focus_plugin.text import Text
from focus_plugin.training.options import cpu_option, learning_rate_option, seed_option

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True)
class FinetuningOptions:
    """The options of ``focus finetune``. A task can have a subclass with other defaults and its own options.

    extra: options passed on to fairseq-train.
    """

    model: Path = option(help="Encoder directory.")
    train: tuple[Path, ...] = option(help="Table to train on: a file or a pattern; may be given several times.")
    valid: tuple[Path, ...] = option(help="Another such table, by which the best checkpoint is chosen.")
    test: tuple[Path, ...] = option((), help="Another such table, on which the chosen checkpoint is evaluated once.")
    truncate: bool = option(False, help="Cut texts longer than the encoder reads, instead of refusing them.")
    epochs: int = option(10, minimum=1, help="Passes over the table.")
    batch_size: int = option(32, minimum=1, help="Samples of one update, over all devices.")
    learning_rate: float = learning_rate_option(2e-5)
    layer_decay: float = option(
        1.0,
        minimum=0,
        maximum=1,
        help="Learning rate of each layer, as a multiple of that of the layer above it; the head has --lr.",
    )
    freeze_layers: int | None = option(
        None, minimum=0, help="Do not train the embeddings and this many of the first layers; 0: only the embeddings."
    )
    patience: int | None = option(None, minimum=1, help="Stop after this many epochs without a better checkpoint.")
    cpu: bool = cpu_option()
    seed: int = seed_option()
    extra: tuple[str, ...] = ()

    @property
    def at_once(self) -> int:
        """The number of samples whose activations are in memory at once, at most."""
        return self.batch_size

    @property
    def tables(self) -> dict[str, Text]:
        """The tables by the names of their splits, ``train`` first. Raises FocusError if a file is missing."""
        named = {"train": self.train, "valid": self.valid, "test": self.test}
        return {split: Text.of(*files) for split, files in named.items() if files or split != "test"}


@dataclass(frozen=True, kw_only=True)
class SeveralSeeds:
    """The option of ``focus finetune`` for several trainings."""

    seeds: str | None = option(
        None, help="Several random seeds, such as 1,2,3, instead of --seed; the output is the model of the best one."
    )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(FinetuningOptions):
    """class_sampling: how often an epoch has the examples with each label or tag, or with and without an answer."""

    class_sampling: str = option(
        "equal",
        choices=("equal", "balanced"),
        help="How often training examples are read in an epoch; balanced: those of a rare kind several times.",
    )

    def copies(self, counts: Mapping[Kind, int]) -> Mapping[Kind, int]:
        """How many times an epoch has each example of a kind. counts: how many examples there are of each."""
        largest, balanced = max(counts.values()), self.class_sampling == "balanced"
        return {kind: round(largest / count) if balanced else 1 for kind, count in counts.items()}


@dataclass(frozen=True, kw_only=True)
class TableEvaluation:
    """The options of ``focus evaluate`` for a model with a head.

    columns: the options for reading the tables of its task, by name.
    """

    model: Path
    table: tuple[Path, ...] = option(
        (),
        help="Instead of DATA: table of the model's task to evaluate the model on, a file or a pattern; may be given "
        "several times.",
    )
    truncate: bool = option(False, help="Cut texts of --table that the model cannot read whole, instead of refusing.")
    errors: Path | None = option(
        None, help="Also write a table of the samples with a wrong result, or of all scores, the worst first."
    )
    report: Path | None = option(
        None, help="Also write an HTML page with the metrics, the confusion of labels, and the worst errors."
    )
    cpu: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)
