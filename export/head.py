"""What a task's head is in a served model: nodes of the graph, and what their numbers say of a text.

A head is one file in ``export/heads``, or an entry point of another package. ``focus export --help`` reads its options,
and Triton's Python backend runs a copy of the file, so it imports nothing at its top but this module and
``focus_plugin.options``; NumPy and whatever else it uses are imported by its methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np

    from .nodes import Nodes
    from .tokenizer import TextTokenizer

TENSORS = "head."  # begins the names that a head's own tensors have for it
LENGTH = "length"


@dataclass(frozen=True)
class Output:
    """An output of the ONNX model, float32. shape: without the batch; the number of tokens is ``LENGTH``."""

    name: str
    shape: tuple[int | str, ...]

    def without_padding(self, values: "np.ndarray", length: int) -> "np.ndarray":
        """The values of one row of ``length`` tokens without those of its padding."""
        return values[tuple(slice(length) if size == LENGTH else slice(None) for size in self.shape)]


@dataclass(frozen=True)
class Encoded:
    """What the model reads of one sample.

    rows: the token ids of each of its inputs, int32 (length,); most samples have one, a long one may have several.
    context: whatever the head needs to make a result of the outputs, such as the text and its pieces' offsets.
    """

    rows: "tuple[np.ndarray, ...]"
    context: Any = None


@dataclass(frozen=True, kw_only=True)
class HuggingFaceHead:
    """How a head is written for transformers.

    architecture: of the class, without ``XLMRobertaFor``. config: its part of ``config.json``. tensors: the name there
    of each of the head's tensors. masked_lm: whether the class has the masked-LM head. files: the content of JSON files
    to write beside, by path.
    """

    architecture: str
    masked_lm: bool
    config: Mapping[str, object] = field(default_factory=dict)
    tensors: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, object] = field(default_factory=dict)


class ServingHead(ABC):
    """The head of a served model. A subclass is a frozen dataclass of what has to be known of one.

    The fields are JSON values, with tuples for lists; ``config.json`` holds them. ``focus export`` sets a field that is
    made by ``focus_plugin.options.option``. A sample is a text, or a tuple of texts where the head has several inputs.

    name: of the head, as of its file. inputs: the name of each text of a sample. columns: of the result in a table.
    for_encoder: whether it serves encoders without tensors of a head; one head that is installed does.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("text",)
    columns: ClassVar[tuple[str, ...]]
    for_encoder: ClassVar[bool] = False

    def fault(self) -> str | None:
        """What is wrong with the fields, or None; they may have been read from a file and be of any type."""
        return None

    @property
    def first_token_only(self) -> bool:
        """Whether the nodes read no token but ``<s>``; the last layer then computes no other."""
        return False

    @abstractmethod
    def outputs(self, width: int) -> tuple[Output, ...]:
        """What the nodes compute; ``width``: size of a hidden state."""

    @abstractmethod
    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """Add the nodes that compute the outputs, under their names, from ``hidden`` (batch, length, width).

        With ``first_token_only``, ``hidden`` is (batch, 1, width). The head's own tensors are those whose names begin
        with ``head.``.
        """

    def sample(self, line: str) -> Any:
        """The sample on a line of a file: the line, or its texts with tabs between them if there are several."""
        return line if len(self.inputs) == 1 else tuple(line.split("\t"))

    def encode(self, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> Encoded:
        """What the model reads of a sample: here ``<s>``, its pieces and ``</s>``.

        Raises FocusError, which needs not name the sample, if the model cannot read it.
        """
        return Encoded((tokenizer.row(tokenizer.ids(sample), truncate),))

    @abstractmethod
    def result(self, encoded: Encoded, outputs: "Sequence[Mapping[str, np.ndarray]]") -> Any:
        """The result for a sample, from the outputs for each of its rows, by name, without batch and padding."""

    @abstractmethod
    def record(self, result: Any) -> dict[str, Any]:
        """A result as a line of JSON Lines: the columns and what JSON can hold of them."""

    def lines(self) -> dict[str, Callable[[Any], str]]:
        """Text formats that the head has besides, by the end of the file name: a result as one or several lines."""
        return {}

    @abstractmethod
    def parquet(self, arrow: Any, width: int) -> Any:
        """The schema of the columns in Parquet; ``arrow``: the module pyarrow."""

    def table(self, results: Any) -> "dict[str, np.ndarray]":
        """The columns of the results of some samples, for Ray, pandas and Spark: (samples,) each."""
        import numpy as np

        records = [self.record(result) for result in results]
        table = {}
        for name in self.columns:
            table[name] = np.empty(len(records), object)
            table[name][:] = [record[name] for record in records]
        return table

    @abstractmethod
    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """How transformers has this head. Raises FocusError if it has none like it."""


class RowHead(ServingHead):
    """A head whose result is a row of as many numbers for every sample, which reads each as one row of tokens.

    This is the fast path: results stay arrays until somebody asks for objects. row_name: what the row is called.
    """

    row_name: ClassVar[str]

    def size(self, width: int) -> int:
        """How many numbers a row has."""
        (output,) = self.outputs(width)
        (size,) = output.shape
        return int(size)

    def row_labels(self) -> tuple[str, ...]:
        """The names of the numbers in a row, if they have names."""
        return ()

    def rows(self, outputs: "Mapping[str, np.ndarray]") -> "np.ndarray":
        """The rows of a batch, floats (batch, size), from the model's outputs: here the only one as it is."""
        (rows,) = outputs.values()
        return rows

    @abstractmethod
    def results(self, rows: "np.ndarray") -> Iterator[Any]:
        """The result of each row."""

    @abstractmethod
    def table(self, results: "np.ndarray") -> "dict[str, np.ndarray]":
        """As :meth:`ServingHead.table`, of rows (samples, size); a column may have more than one dimension."""

    def result(self, encoded: Encoded, outputs: "Sequence[Mapping[str, np.ndarray]]") -> Any:
        """The result of a single sample."""
        (only,) = outputs
        (result,) = self.results(self.rows({name: array[None] for name, array in only.items()}))
        return result
