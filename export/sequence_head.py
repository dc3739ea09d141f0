"""fairseq's classification head, which reads ``<s>``, and what its numbers say: a label, several labels, or a score.

Heads that are different only in the texts that they read share it. Triton's Python backend runs a copy of this file.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import HuggingFaceHead, Output, RowHead

if TYPE_CHECKING:
    import numpy as np
    from focus_export.nodes import Nodes

HEAD_LAYERS = ("dense", "out_proj")  # the names of its two linear layers in fairseq, in transformers and in the graph


@dataclass(frozen=True)
class Classification:
    """The most probable label of a text, and the probability of every label in the model's order."""

    label: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Classifications:
    """The labels of a text, and the probability of every label in the model's order."""

    labels: tuple[str, ...]
    scores: dict[str, float]


@dataclass(frozen=True)
class Readout(ABC):
    """What the numbers of a head say.

    labels: the names of the numbers, in their order; none if it is one number. columns, row_name: as those of
    ``RowHead``. problem_type: transformers' name for it.
    """

    columns: ClassVar[tuple[str, ...]]
    row_name: ClassVar[str]
    problem_type: ClassVar[str]

    labels: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.labels) or 1

    @property
    def config(self) -> dict[str, object]:
        """The entries of transformers' ``config.json``."""
        names = dict(enumerate(self.labels or self.columns))
        return {
            "problem_type": self.problem_type,
            "id2label": {str(number): name for number, name in names.items()},
            "label2id": {name: number for number, name in names.items()},
        }

    @abstractmethod
    def rows(self, logits: "np.ndarray") -> "np.ndarray":
        """The rows of a batch from the logits, (batch, size)."""

    @abstractmethod
    def results(self, rows: "np.ndarray") -> Iterator[Any]:
        """The result of each row."""

    @abstractmethod
    def record(self, result: Any) -> dict[str, Any]:
        """A result as an object in JSON Lines."""

    @abstractmethod
    def line(self, result: Any) -> str:
        """A result as a line of ``.txt``, without the line break."""

    @abstractmethod
    def table(self, rows: "np.ndarray") -> "dict[str, np.ndarray]":
        """The columns of rows (samples, size)."""

    @abstractmethod
    def parquet(self, arrow: Any) -> Any:
        """The schema of the columns."""


class OneLabel(Readout):
    """The most probable of several labels."""

    columns = ("label", "scores")
    row_name = "scores"
    problem_type = "single_label_classification"

    def rows(self, logits: "np.ndarray") -> "np.ndarray":
        """The probabilities of the labels, float64 (batch, labels)."""
        import numpy as np

        powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))

    def results(self, rows: "np.ndarray") -> Iterator[Classification]:
        """A Classification of each row."""
        for best, scores in zip(rows.argmax(1).tolist(), rows.tolist(), strict=True):
            yield Classification(self.labels[best], dict(zip(self.labels, scores, strict=True)))

    def record(self, result: Classification) -> dict[str, Any]:
        """``label`` and ``scores``, the probability of each label."""
        return {"label": result.label, "scores": result.scores}

    def line(self, result: Classification) -> str:
        """The label."""
        return result.label

    def table(self, rows: "np.ndarray") -> "dict[str, np.ndarray]":
        """``label`` (samples,) and ``scores`` float32 (samples, labels)."""
        import numpy as np

        return {"label": np.array(self.labels, object)[rows.argmax(1)], "scores": rows.astype(np.float32)}

    def parquet(self, arrow: Any) -> Any:
        """``scores`` are in the order of the labels, which the metadata lists."""
        scores = arrow.list_(arrow.float32(), len(self.labels))
        return arrow.schema({"label": arrow.string(), "scores": scores}, _in_order(self.labels))


@dataclass(frozen=True)
class SeveralLabels(Readout):
    """Every label whose score is at least its threshold.

    thresholds: one for each label, between 0 and 1. separator: what is between the labels in a line of text.
    """

    columns = ("labels", "scores")
    row_name = "scores"
    problem_type = "multi_label_classification"

    thresholds: tuple[float, ...] = ()
    separator: str = ","

    @property
    def config(self) -> dict[str, object]:
        """The entries of transformers' ``config.json``, with ``thresholds``, which it ignores."""
        return {**super().config, "thresholds": list(self.thresholds)}

    def rows(self, logits: "np.ndarray") -> "np.ndarray":
        """The probability of each label by itself, float32 (batch, labels)."""
        import numpy as np

        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float64)), np.float32)

    def results(self, rows: "np.ndarray") -> Iterator[Classifications]:
        """Classifications of each row."""
        for chosen, scores in zip(self._chosen(rows), rows.tolist(), strict=True):
            yield Classifications(chosen, dict(zip(self.labels, scores, strict=True)))

    def record(self, result: Classifications) -> dict[str, Any]:
        """``labels`` and ``scores``, the probability of each label."""
        return {"labels": list(result.labels), "scores": result.scores}

    def line(self, result: Classifications) -> str:
        """The labels with separators between them."""
        return self.separator.join(result.labels)

    def table(self, rows: "np.ndarray") -> "dict[str, np.ndarray]":
        """``labels``, a list for each of (samples,), and ``scores`` float32 (samples, labels)."""
        import numpy as np

        labels = np.empty(len(rows), object)
        labels[:] = [list(chosen) for chosen in self._chosen(rows)]
        return {"labels": labels, "scores": rows.astype(np.float32)}

    def parquet(self, arrow: Any) -> Any:
        """``scores`` are in the order of the labels, which the metadata lists."""
        scores = arrow.list_(arrow.float32(), len(self.labels))
        return arrow.schema({"labels": arrow.list_(arrow.string()), "scores": scores}, _in_order(self.labels))

    def _chosen(self, rows: "np.ndarray") -> Iterator[tuple[str, ...]]:
        for row in (rows >= list(self.thresholds)).tolist():
            yield tuple(label for label, chosen in zip(self.labels, row, strict=True) if chosen)


class Number(Readout):
    """A score, which is the logit itself."""

    columns = ("score",)
    row_name = "score"
    problem_type = "regression"

    def rows(self, logits: "np.ndarray") -> "np.ndarray":
        """The scores, float32 (batch, 1)."""
        return logits

    def results(self, rows: "np.ndarray") -> Iterator[float]:
        """The score of each row."""
        return iter(rows[:, 0].tolist())

    def record(self, result: float) -> dict[str, Any]:
        """``score``."""
        return {"score": result}

    def line(self, result: float) -> str:
        """The score with six digits."""
        return f"{result:.6g}"

    def table(self, rows: "np.ndarray") -> "dict[str, np.ndarray]":
        """``score`` float32 (samples,)."""
        return {"score": rows[:, 0]}

    def parquet(self, arrow: Any) -> Any:
        """``score``."""
        return arrow.schema({"score": arrow.float32()})


class SequenceHead(RowHead):
    """A linear layer, tanh, and another linear layer, on the hidden state of ``<s>``."""

    @property
    @abstractmethod
    def readout(self) -> Readout:
        """What the numbers say."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the readout."""
        return self.readout.columns

    @property
    def row_name(self) -> str:
        """That of the readout."""
        return self.readout.row_name

    @property
    def first_token_only(self) -> bool:
        """It reads ``<s>``."""
        return True

    def outputs(self, width: int) -> tuple[Output, ...]:
        """``logits`` (size)."""
        return (Output("logits", (self.readout.size,)),)

    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """The layers."""
        dense, out = (f"head.{layer}" for layer in HEAD_LAYERS)
        active = nodes.node("Tanh", [nodes.linear(nodes.first_token(hidden), dense, width, width)], "head.tanh")
        nodes.linear(active, out, self.readout.size, width, output="logits")

    def row_labels(self) -> tuple[str, ...]:
        """The labels."""
        return self.readout.labels

    def rows(self, outputs: "Mapping[str, np.ndarray]") -> "np.ndarray":
        """The rows of the readout."""
        return self.readout.rows(outputs["logits"])

    def results(self, rows: "np.ndarray") -> Iterator[Any]:
        """The results of the readout."""
        return self.readout.results(rows)

    def record(self, result: Any) -> dict[str, Any]:
        """The columns of the readout."""
        return self.readout.record(result)

    def lines(self) -> dict[str, Callable[[Any], str]]:
        """``.txt``: the line of the readout."""
        line = self.readout.line
        return {"txt": lambda result: f"{line(result)}\n"}

    def table(self, results: "np.ndarray") -> "dict[str, np.ndarray]":
        """The columns of the readout."""
        return self.readout.table(results)

    def parquet(self, arrow: Any, width: int) -> Any:
        """The schema of the readout."""
        return self.readout.parquet(arrow)

    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """XLMRobertaForSequenceClassification."""
        names = [f"{layer}.{kind}" for layer in HEAD_LAYERS for kind in ("weight", "bias")]
        return HuggingFaceHead(
            architecture="SequenceClassification",
            masked_lm=False,
            config=self.readout.config,
            tensors={name: f"classifier.{name}" for name in names},
        )


def labels_fault(labels: object, what: str) -> str | None:
    """A sentence if the labels in a file are not different strings. what: the model, such as "a pairs model"."""
    if not isinstance(labels, tuple) or not labels or not all(isinstance(label, str) for label in labels):
        return f'{what} needs its list of labels under "labels"'
    twice = [label for number, label in enumerate(labels) if label in labels[:number]]
    return f'"labels" has the label {twice[0]!r} twice' if twice else None


def _in_order(labels: tuple[str, ...]) -> dict[str, str]:
    """Metadata of a Parquet file."""
    import json

    return {"labels": json.dumps(labels, ensure_ascii=False)}
