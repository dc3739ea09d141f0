"""The options of ``focus export --onnx``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from focus_export.served_heads import HEADS

from focus_plugin.finetuning.discovery import all_tasks
from focus_plugin.options import Option, declared, option


@dataclass(frozen=True, kw_only=True)
class OnnxExport:
    """What to export and how.

    head: options of the model's task, by name: those that its head in ``export/heads`` declares, and those for reading
    its tables.
    """

    model: Path
    precision: str = option(
        "fp32",
        choices=("fp32", "fp16", "bf16", "int8"),
        help="Precision of the matrix products; fp16 and bf16 are for GPUs, int8 for CPUs.",
    )
    valid: tuple[Path, ...] = option(
        (),
        help="Table of the task, or a text for embeddings, on which the loss from reduced precision or fewer tokens is "
        "measured: a file or a pattern; may be given several times.",
    )
    max_loss: float = option(
        0.01,
        minimum=0,
        help="Largest loss of the task's metric, in absolute terms; a model that loses more is not written.",
    )
    activation_ranges_of: tuple[Path, ...] = option(
        (),
        help="Text on which fixed ranges of int8 activations are measured; they are used unless ranges that are "
        "measured on every batch have a smaller loss. A file or a pattern; may be given several times.",
    )
    keep_tokens_of: tuple[Path, ...] = option(
        (), help="Leave out the tokens that this text does not use: a file or a pattern; may be given several times."
    )
    hidden_states: bool = option(False, help="Also output the hidden states of all tokens.")
    tolerance: float = option(
        1e-4, minimum=0, help="Largest difference to PyTorch, relative to values larger than one."
    )
    head: Mapping[str, Any] = field(default_factory=dict)


def head_options() -> tuple[Option, ...]:
    """The options of all tasks for ``focus export``, each once: those of their heads, and those for reading tables."""
    heads = [HEADS.find(name).declaration for name in HEADS.names()]
    entries = [*(entry for head in heads for entry in declared(head)), *column_options()]
    return tuple({entry.name: entry for entry in entries}.values())


def column_options() -> tuple[Option, ...]:
    """The options for reading the tables of all tasks, each once."""
    entries = [entry for task in all_tasks() for entry in declared(task.columns)]
    return tuple({entry.name: entry for entry in entries}.values())
