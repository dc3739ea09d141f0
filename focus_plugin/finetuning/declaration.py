"""The declaration of a task for training, and the arguments of its functions.

A task is one file in ``focus_plugin/heads``, or an entry point of another package, and one file of the same name in
``export/heads`` (see ``focus_export.head``). ``HEAD`` is read for ``--help``, so importing the file must import neither
torch, fairseq nor numpy.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
from focus_plugin.finetuning.options import FinetuningOptions
from focus_plugin.progress import Phase, no_phase, phase_if_slow
from focus_plugin.text import Text

if TYPE_CHECKING:
    from fairseq.models.roberta import RobertaModel
    from focus_export.head import ServingHead
    from focus_export.tokenizer import TextTokenizer
    from torch import Tensor, nn

    from focus_plugin.binary_data import Encoder
    from focus_plugin.checkpoint.checkpoint import Checkpoint
    from focus_plugin.finetuning.kept_head import KeptHead


BASELINES = "baselines"  # in the counts of a manifest: ``TaskHead.baseline`` of each table that was evaluated
TASK_HEAD = "task_head"  # the attribute of fairseq's model for a task's module; tensors' names begin with it


@dataclass(frozen=True, kw_only=True)
class NoColumns:
    """The options for reading the files of a task that needs no such options."""


@dataclass(frozen=True)
class Example:
    """One example of a file.

    line: its first line in its file. sample: the argument of ``ServingHead.encode``: a text or, if the head has several
    inputs, a tuple of texts; with ``TaskHead.texts_apart``, a tuple of such arguments. expected: the expected result;
    None for the result of the exact model. file: set by :func:`table_examples`
    or ``TaskHead.read_together``.
    """

    line: int
    sample: Any
    expected: Any = None
    file: Path | None = None

    @property
    def place(self) -> str:
        """File and line, as messages name them."""
        return f"{self.file}, line {self.line}"

    def place_in(self, files: int) -> str:
        """The line, and the name of the file if the table consists of several ``files``."""
        return f"{self.file.name}, line {self.line}" if self.file and files > 1 else f"line {self.line}"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The arguments of ``Finetuning.prepare``.

    directory: empty, for the data. model: directory of the encoder to start from, with its vocabulary. encoder: turns
    texts into ids. tokenizer: the same for ``ServingHead.encode``. max_positions: largest number of tokens that the
    model reads, with ``<s>`` and ``</s>``. tables: by the name of the split, ``train`` first; each can be several
    files. examples: reads a table; the argument ``doing`` says in the progress what for. options: of the fine-tuning.
    """

    directory: Path
    model: Path
    encoder: "Encoder"
    tokenizer: "TextTokenizer"
    max_positions: int
    tables: Mapping[str, Text]
    examples: Callable[..., Iterator[Example]]
    options: FinetuningOptions


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The result of ``Finetuning.prepare``.

    head: as it will be served. samples: number of training samples. counts: for the manifest. files: names of files in
    the directory that are copied into the release, such as a list of examples that were left out. loss_settings: what
    the loss gets as ``Outputs.settings``, such as weights of labels. warnings: sentences about the tables for the user.
    """

    head: "ServingHead"
    samples: int
    counts: Mapping[str, object] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    loss_settings: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Forward:
    """The arguments of the head in PyTorch, ``TaskHead.forward``.

    model: fairseq's. head: as it is served. module: what ``TaskHead.module`` made, with its weights; None if the task
    has none. hidden: the last layer's hidden states (batch, length, width). lengths: (batch,), the number of tokens of
    each row without padding. lower: in training, the hidden states of ``Finetuning.lower_layers`` by number.
    """

    model: "RobertaModel"
    head: Any
    module: "nn.Module | None"
    hidden: "Tensor"
    lengths: "Tensor"
    lower: "Mapping[int, Tensor]" = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The arguments of ``Finetuning.loss`` for a batch.

    head: as it is served. outputs: of ``TaskHead.forward``, float32; the first element is for the first row of token
    ids of every sample, the second for the second row, and so on. expected: the numbers of each sample, float64 (batch,
    any), padded with ``IGNORED`` of ``finetuning/samples.py``. settings: the value of ``--loss-settings``.
    """

    head: Any
    outputs: "Sequence[Mapping[str, Tensor]]"
    expected: "Tensor"
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of a batch.

    total: the sum of the losses of all predictions in the batch. count: the number of predictions.
    """

    total: "Tensor"
    count: int


def focus_heads_options(head: Any, options: Any) -> tuple[str, ...]:
    """The options of fairseq-train for a task that declares a loss."""
    return ("--task", "focus_heads", "--criterion", "focus_heads")


@dataclass(frozen=True, kw_only=True)
class Finetuning:
    """How a task is trained by fairseq-train.

    options: FinetuningOptions, or a subclass. prepare: writes the data. fairseq_options: options of fairseq-train for
    the head and the options of the task, instead of :func:`focus_heads_options`. loss: of a batch, if fairseq's task is
    ``focus_heads``; its best checkpoint has the highest decisive metric on the validation table. lower_layers: from the
    head, the numbers of the layers, from 1, whose hidden states the loss needs besides those of the last. tensors: the
    beginning of the names of the head's tensors in the released checkpoint; empty if it has none. refused: options of
    fairseq-train that the user must not give, with the reason. register: registers other tasks and criterions with
    fairseq; it is called in fairseq-train's process. adjust: from the head, and the expected results and the results of
    the best checkpoint on the validation table, the head with values that are chosen by them, such as thresholds.
    variants: from the head, others of which the best checkpoint is also evaluated, by a name that their metrics begin
    with.
    """

    options: type[FinetuningOptions] = FinetuningOptions
    prepare: Callable[[Preparation], Prepared]
    fairseq_options: Callable[[Any, Any], tuple[str, ...]] = focus_heads_options
    loss: Callable[[Outputs], Loss] | None = None
    lower_layers: "Callable[[Any], tuple[int, ...]]" = lambda head: ()
    tensors: str = f"{TASK_HEAD}."
    refused: Mapping[str, str] = field(default_factory=dict)
    register: Callable[[], object] | None = None
    adjust: "Callable[[Any, Sequence[Any], Sequence[Any]], ServingHead] | None" = None
    variants: "Callable[[Any], Mapping[str, ServingHead]]" = lambda head: {}


@dataclass(frozen=True, kw_only=True)
class OtherForm:
    """Another form of the examples of a table, in which a model is also evaluated, such as raw text instead of words.

    example: an example in this form. metrics: as ``TaskHead.metrics``.
    """

    example: Callable[[Example], Example]
    metrics: Callable[[Sequence[Any], Sequence[Any]], Mapping[str, float]]


@dataclass(frozen=True)
class Outcome:
    """A result beside the expected one.

    expected, predicted: both as text. error: 0 if the result is right, and the larger, the worse it is. classes:
    whether the texts are of a limited number of kinds, such as labels. several: if results are any number of labels,
    the expected and the predicted ones.
    """

    expected: str
    predicted: str
    error: float
    classes: bool = True
    several: tuple[Sequence[str], Sequence[str]] | None = None

    @property
    def labels(self) -> tuple[Sequence[str], Sequence[str]]:
        """The expected and the predicted labels, usually one each."""
        return self.several or ((self.expected,), (self.predicted,))


@dataclass(frozen=True, kw_only=True)
class TaskHead:
    """A task.

    name: for ``focus finetune``, and of its head in ``export/heads``. summary: one sentence. columns: a frozen
    dataclass of options that say how its files are read. examples: reads a file. read_together: reads all files of a
    table, if these options say that they belong together; else None. texts_apart: whether the texts of an
    example are samples of their own, such as those of a pair of which each has an embedding; the result of the example
    is then the tuple of their results. fault: what is wrong with the expected result of an example for a model with
    this head, or None. parsed: that result as ``metrics`` and ``adjust`` get it, if the file is read before the head is
    known. metrics: compares expected results with results; values by name, at most 1, of which the first is decisive
    and higher ones are better. forms: other forms of the examples, by a name that their metrics begin with. baseline:
    from expected results, the decisive metric of always giving the commonest one; None if there is no such result.
    module: makes the head's PyTorch module with new weights, for a hidden state of the given size; None if the head is
    part of fairseq's model or has no weights. forward: the head in PyTorch, its outputs by their names in the graph.
    find: the head of a model that this program did not fine-tune, or None if the model has no head of this task; it may
    read the files ``found_in`` of the model's directory. finetuning: None for a task without training. compared: an
    expected result and a result, for a list of errors; None if the task has no such list. parts: the parts of an
    example, with their results, that are compared one by one, such as the words of a text. compared_together: examples
    and their results as rows of this list, in place of both, if a row depends on all results.
    """

    name: str
    summary: str
    columns: type = NoColumns
    examples: Callable[[Path, Any, Progress], Iterator[Example]]
    read_together: Callable[[Text, Any, Progress], Iterator[Example] | None] = lambda table, columns, progress: None
    texts_apart: bool = False
    fault: Callable[[Any, Any], str | None] = lambda head, expected: None
    parsed: Callable[[Any, Any], Any] = lambda head, expected: expected
    metrics: Callable[[Sequence[Any], Sequence[Any]], Mapping[str, float]]
    forms: Mapping[str, OtherForm] = field(default_factory=dict)
    baseline: Callable[[Sequence[Any]], float] | None = None
    module: "Callable[[Any, int], nn.Module] | None" = None
    forward: "Callable[[Forward], Mapping[str, Tensor]]"
    find: "Callable[[Path, Checkpoint], KeptHead | None] | None" = None
    found_in: tuple[str, ...] = ()
    finetuning: Finetuning | None = None
    compared: Callable[[Any, Any], Outcome] | None = None
    parts: Callable[[Example, Any], Iterable[tuple[Example, Any]]] = lambda example, result: ((example, result),)
    compared_together: Callable[[Sequence[Example], Sequence[Any]], list[tuple[Example, Outcome]]] | None = None

    def samples(self, example: Example) -> tuple[Any, ...]:
        """The samples of an example, as ``ServingHead.encode`` takes them."""
        return tuple(example.sample) if self.texts_apart else (example.sample,)


def table_examples(
    task: TaskHead, table: Text, columns: Any, phase: Phase = no_phase, doing: str = "Reading"
) -> Iterator[Example]:
    """The examples of all files of a table, in their order. Raises FocusError as ``task.examples`` does.

    phase: shows the progress of what the caller does with the examples, if it is slow.
    """
    with phase_if_slow(phase, f"{doing} {table.name}", table.bytes) as progress:
        if (together := task.read_together(table, columns, progress)) is not None:
            yield from together
            return
        for file in table.files:
            for example in task.examples(file.path, columns, progress):
                yield replace(example, file=file.path)


def checked_examples(
    task: TaskHead, head: "ServingHead", table: Text, columns: Any, phase: Phase = no_phase
) -> Iterator[Example]:
    """The examples of all files of a table.

    Raises FocusError, with file and line, as ``task.examples`` does, and for an expected result that a model with this
    head cannot have.
    """
    for example in table_examples(task, table, columns, phase):
        if fault := task.fault(head, example.expected):
            raise FocusError(f"{example.place}: {fault}.")
        yield replace(example, expected=task.parsed(head, example.expected))
