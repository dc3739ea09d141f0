"""The interface of the head of a task in an exported model: its nodes in the graph, and its results for a text.

A head is one file in ``export/heads``, or an entry point of another package. ``focus export --help`` reads its options,
and Triton's Python backend runs a copy of the file. So at its top, the file may import only this module,
``focus_export.sequence_head``, ``focus_plugin.errors`` and ``focus_plugin.options``. Its methods must import NumPy and
all other modules.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from focus_plugin.errors import FocusError

if TYPE_CHECKING:
    import numpy as np

    from .nodes import Nodes
    from .tokenizer import TextTokenizer

TENSORS = "head."  # prefix of the names of a head's own tensors
PAIR_SPECIALS = 4  # <s> first </s></s> second </s>
LENGTH = "length"


@dataclass(frozen=True)
class Output:
    """An output of the ONNX model, float32. shape: without the batch axis; ``LENGTH`` is the number of tokens."""

    name: str
    shape: tuple[int | str, ...]

    def without_padding(self, values: "np.ndarray", length: int) -> "np.ndarray":
        """``values``, the output for one row, without those of padding; ``length``: the number of real tokens."""
        return values[tuple(slice(length) if size == LENGTH else slice(None) for size in self.shape)]


@dataclass(frozen=True)
class Encoded:
    """The token ids of one sample.

    rows: the ids of each input of the model, int32 (length,). Most samples are one row, but a head can divide a long
    sample into several. context: anything that the head needs to compute the result from the outputs, such as the text
    and the offsets of its pieces. left_out: the number of pieces that were left out because the sample is too long.
    """

    rows: "tuple[np.ndarray, ...]"
    context: Any = None
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class HuggingFaceHead:
    """How a head is written for transformers.

    architecture: the name of the class without ``XLMRobertaFor``. config: its entries in ``config.json``. tensors: the
    name in transformers of each of the head's tensors. masked_lm: whether the class has the masked-LM head. files: the
    content of further JSON files, by path.
    """

    architecture: str
    masked_lm: bool
    config: Mapping[str, object] = field(default_factory=dict)
    tensors: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HeadCard:
    """What model cards say of a task.

    pipeline_tag: the task's name on the Hugging Face Hub, if it has one. texts: those of a sample, as an example; by
    default any. line: the same as a line of a file, if it is not these texts with tabs between them. hugging_face: the
    Python lines that use the current directory, made by ``focus export --hf``; by default those that print the outputs.
    """

    pipeline_tag: str | None = None
    texts: tuple[str, ...] = ()
    line: str | None = None
    hugging_face: str | None = None


class ServingHead(ABC):
    """The head of an exported model. A subclass is a frozen dataclass with the settings of the head as fields.

    The fields are JSON values, with tuples instead of lists; they are saved in ``config.json``. A field that is made by
    ``focus_plugin.options.option`` is an option of ``focus export``. A sample is a text, or a tuple of texts if the
    head has several inputs.

    name: the name of the head and of its file. inputs: the name of each text of a sample. more_inputs: the names of
    texts that a sample can have after these. for_encoder: whether the head is for encoders without a task's head;
    exactly one installed head must be. modules: further modules of this program that the methods import. Triton gets
    copies of them, so they may import only other such modules at their top. card: what model cards say of the task.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("text",)
    more_inputs: ClassVar[tuple[str, ...]] = ()
    for_encoder: ClassVar[bool] = False
    modules: ClassVar[tuple[str, ...]] = ()
    card: ClassVar[HeadCard] = HeadCard()

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The names of the result's columns in a table. A subclass can also have them as a class variable."""

    def fault(self) -> str | None:
        """A description of what is wrong with the fields, or None. Fields read from a file can have any type."""
        return None

    def misfit(self, width: int, layers: int) -> str | None:
        """A description of what does not fit an encoder of this size, or None. ``width``: of a hidden state."""
        return None

    @property
    def encoder_layers(self) -> int | None:
        """The number of the encoder's layers that are read, from the first on; None for all."""
        return None

    @property
    def first_token_only(self) -> bool:
        """Whether the nodes read only ``<s>``. The last layer is then not computed for other tokens."""
        return False

    @abstractmethod
    def outputs(self, width: int) -> tuple[Output, ...]:
        """The outputs of the nodes; ``width``: the size of a hidden state."""

    @abstractmethod
    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """Add the nodes that compute the outputs, with the outputs' names, from ``hidden`` (batch, length, width).

        With ``first_token_only``, ``hidden`` is (batch, 1, width). The names of the head's own tensors begin with
        ``head.``.
        """

    def sample(self, line: str) -> Any:
        """The sample on a line of a file: the line itself, or its texts separated by tabs if there are several.

        Raises FocusError if the line has no sample. The message need not name it.
        """
        return line if len(self.inputs) == 1 else tuple(line.split("\t"))

    def encode(self, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> Encoded:
        """The token ids of a sample: by default ``<s>``, its pieces and ``</s>``.

        Raises FocusError if the model cannot read the sample. The message need not name it.
        """
        ids = tokenizer.ids(sample)
        row = tokenizer.row(ids, truncate)
        return Encoded((row,), left_out=len(ids) + 2 - len(row))

    @abstractmethod
    def result(self, encoded: Encoded, outputs: "Sequence[Mapping[str, np.ndarray]]") -> Any:
        """The result for a sample. ``outputs``: for each row, its outputs by name, without batch axis and padding."""

    @abstractmethod
    def record(self, result: Any) -> dict[str, Any]:
        """A result as an object in JSON Lines: its columns as JSON values."""

    def lines(self) -> dict[str, Callable[[Any], str]]:
        """Further text formats, by the suffix of the file name: functions from a result to its line or lines."""
        return {}

    def entries(self) -> dict[str, Callable[[Any], tuple[str, Any]]]:
        """Further formats, by name, that are one JSON object: functions from a result to a key of it and its value.

        Such a function raises FocusError for a result that has no key.
        """
        return {}

    @abstractmethod
    def parquet(self, arrow: Any, width: int) -> Any:
        """The schema of the columns in Parquet; ``arrow``: the module pyarrow."""

    def table(self, results: Any) -> "dict[str, np.ndarray]":
        """The columns of some results, for Ray, pandas and Spark; shape (samples,) each."""
        import numpy as np

        records = [self.record(result) for result in results]
        table = {}
        for name in self.columns:
            table[name] = np.empty(len(records), object)
            table[name][:] = [record[name] for record in records]
        return table

    @abstractmethod
    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """How this head is written for transformers. Raises FocusError if transformers has no such head."""


class RowHead(ServingHead):
    """A head whose result is a row of numbers with the same size for every sample. A sample is one row of tokens.

    This is faster: results remain arrays until objects are asked for.
    """

    @property
    @abstractmethod
    def row_name(self) -> str:
        """The name of the row in results. A subclass can also have it as a class variable."""

    def size(self, width: int) -> int:
        """How many numbers a row has."""
        (output,) = self.outputs(width)
        (size,) = output.shape
        return int(size)

    def row_labels(self) -> tuple[str, ...]:
        """The names of the numbers in a row, if they have names."""
        return ()

    def rows(self, outputs: "Mapping[str, np.ndarray]") -> "np.ndarray":
        """The rows of a batch, floats (batch, size), from the model's outputs; by default the only output."""
        (rows,) = outputs.values()
        return rows

    @abstractmethod
    def results(self, rows: "np.ndarray") -> Iterator[Any]:
        """The result of each row."""

    @abstractmethod
    def table(self, results: "np.ndarray") -> "dict[str, np.ndarray]":
        """As :meth:`ServingHead.table`, for rows (samples, size); a column can have more than one dimension."""

    def result(self, encoded: Encoded, outputs: "Sequence[Mapping[str, np.ndarray]]") -> Any:
        """The result of a single sample."""
        (only,) = outputs
        (result,) = self.results(self.rows({name: array[None] for name, array in only.items()}))
        return result


class Encodes(Protocol):
    """A head, or anything else that encodes samples in the same way."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """As ``ServingHead.inputs``."""

    @property
    def more_inputs(self) -> tuple[str, ...]:
        """As ``ServingHead.more_inputs``."""

    def encode(self, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> Encoded:
        """As :meth:`ServingHead.encode`."""


def encoded_sample(head: Encodes, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> Encoded:
    """``head.encode``. Raises FocusError also if the sample does not have one text for each input of the head."""
    least, most = len(head.inputs), len(head.inputs) + len(head.more_inputs)
    if most > 1 and not (isinstance(sample, tuple | list) and least <= len(sample) <= most):
        several = isinstance(sample, tuple | list)
        found = f"{len(sample)} text{'s' * (len(sample) != 1)}" if several else f"a {type(sample).__name__}"
        raise FocusError(f"is {found}, but the model reads {len(head.inputs)} together: {', '.join(head.inputs)}.")
    return head.encode(tokenizer, sample, truncate)
