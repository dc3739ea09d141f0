"""How a task declares itself where it is trained, and what its functions are given.

A task is one file in ``focus_plugin/heads``, or an entry point of another package, and one file of the same name in
``export/heads`` (see ``focus_export.head``). ``HEAD`` is read for ``--help``, so importing the file must import neither
torch, fairseq nor numpy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.finetuning.options import FinetuningOptions

if TYPE_CHECKING:
    from fairseq.models.roberta import RobertaModel
    from focus_export.head import ServingHead
    from torch import Tensor

    from focus_plugin.binary_data import Encoder
    from focus_plugin.checkpoint.checkpoint import Checkpoint
    from focus_plugin.finetuning.kept_head import KeptHead


@dataclass(frozen=True, kw_only=True)
class NoColumns:
    """The options of a task whose files need none to be read."""


@dataclass(frozen=True)
class Example:
    """One example of a file. line: where it begins. sample: a text, or a tuple of texts where the head has several
    inputs. expected: what the result is compared with; None where that is the result of the exact model."""

    line: int
    sample: Any
    expected: Any = None


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What fairseq's data is made from.

    directory: to fill. model: directory of the encoder to start from, with its vocabulary. encoder: texts to ids.
    max_positions: most tokens that the model reads, ``<s>`` and ``</s>`` included. tables: by the name of the split,
    ``train`` first. examples: of a table. options: of the fine-tuning.
    """

    directory: Path
    model: Path
    encoder: "Encoder"
    max_positions: int
    tables: Mapping[str, Path]
    examples: Callable[[Path], Iterator[Example]]
    options: FinetuningOptions


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What was made of the tables. head: as it will be served. samples: how many train. counts: for the manifest."""

    head: "ServingHead"
    samples: int
    counts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Forward:
    """What the head in PyTorch is given: fairseq's model, the head as it is kept, the last layer's hidden states
    (batch, length, width), and how many tokens of each row are real (batch,)."""

    model: "RobertaModel"
    kept: "KeptHead"
    hidden: "Tensor"
    lengths: "Tensor"


@dataclass(frozen=True, kw_only=True)
class Finetuning:
    """How a task is trained by fairseq-train.

    options: FinetuningOptions, or a subclass. prepare: writes fairseq's data. fairseq_options: of fairseq-train, for
    the head and the options: task, criterion, and the metric that chooses the checkpoint. tensors: begins the names
    that the head's tensors have in fairseq's checkpoints. refused: options of fairseq-train that the user must not
    give, with the reason. register: registers tasks and criterions that fairseq lacks; fairseq-train calls it.
    """

    options: type[FinetuningOptions] = FinetuningOptions
    prepare: Callable[[Preparation], Prepared]
    fairseq_options: "Callable[[ServingHead, Any], tuple[str, ...]]"
    tensors: str
    refused: Mapping[str, str] = field(default_factory=dict)
    register: Callable[[], object] | None = None


@dataclass(frozen=True, kw_only=True)
class TaskHead:
    """A task.

    name: what ``focus finetune`` takes, and that of its head in ``export/heads``. summary: one sentence. columns: a
    frozen dataclass of options that say how its files are read. examples: reads a file. fault: what is wrong with what
    an example expects of a model with this head, or None. metrics: of what was expected and the results, by name; the
    first one decides, and more is better. forward: the head in PyTorch, its outputs by their names in the graph. find:
    the head of a model that this program did not fine-tune, or None where it is no head of this task; it may read the
    ``found_in`` files of the model's directory. finetuning: None for a task that has no training.
    """

    name: str
    summary: str
    columns: type = NoColumns
    examples: Callable[[Path, Any, Progress], Iterator[Example]]
    fault: "Callable[[ServingHead, Any], str | None]" = lambda head, expected: None
    metrics: Callable[[Sequence[Any], Sequence[Any]], Mapping[str, float]]
    forward: "Callable[[Forward], Mapping[str, Tensor]]"
    find: "Callable[[Path, Checkpoint], KeptHead | None] | None" = None
    found_in: tuple[str, ...] = ()
    finetuning: Finetuning | None = None


def checked_examples(
    task: TaskHead, head: "ServingHead", path: Path, columns: Any, progress: Progress = silent
) -> Iterator[Example]:
    """The examples of a file, of which each expects something that the head can say.

    Raises FocusError, with file and line, as ``task.examples`` does and for one that does not.
    """
    for example in task.examples(path, columns, progress):
        if fault := task.fault(head, example.expected):
            raise FocusError(f"{path}, line {example.line}: {fault}.")
        yield example
