"""Classes of texts: the most probable label, and the probability of every label."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import HuggingFaceHead, Output, RowHead

if TYPE_CHECKING:
    import numpy as np
    from focus_export.nodes import Nodes


@dataclass(frozen=True)
class Classification:
    """The most probable label of a text, and the probability of every label in the model's order."""

    label: str
    scores: dict[str, float]


@dataclass(frozen=True)
class ClassificationHead(RowHead):
    """fairseq's classification head. labels: of the classes, in the order of the logits."""

    name: ClassVar[str] = "classification"
    columns: ClassVar[tuple[str, ...]] = ("label", "scores")
    row_name: ClassVar[str] = "scores"

    labels: tuple[str, ...]

    def fault(self) -> str | None:
        """A sentence if the labels are not different strings."""
        labels = self.labels
        if not isinstance(labels, tuple) or not labels or not all(isinstance(label, str) for label in labels):
            return 'a classification model needs its list of labels under "labels"'
        twice = [label for number, label in enumerate(labels) if label in labels[:number]]
        return f'"labels" has the label {twice[0]!r} twice' if twice else None

    @property
    def first_token_only(self) -> bool:
        """It reads ``<s>``."""
        return True

    def outputs(self, width: int) -> tuple[Output, ...]:
        """``logits`` (classes)."""
        return (Output("logits", (len(self.labels),)),)

    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """A linear layer, tanh, and another linear layer."""
        dense = nodes.linear(nodes.first_token(hidden), "head.dense", width, width)
        active = nodes.node("Tanh", [dense], "head.tanh")
        nodes.linear(active, "head.out_proj", len(self.labels), width, output="logits")

    def row_labels(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    def rows(self, outputs: "Mapping[str, np.ndarray]") -> "np.ndarray":
        """The probabilities of the labels, float64 (batch, classes)."""
        import numpy as np

        logits = outputs["logits"]
        powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))

    def results(self, rows: "np.ndarray") -> Iterator[Classification]:
        """A Classification of each row."""
        for best, scores in zip(rows.argmax(1).tolist(), rows.tolist(), strict=True):
            yield Classification(self.labels[best], dict(zip(self.labels, scores, strict=True)))

    def record(self, result: Classification) -> dict[str, Any]:
        """``label`` and ``scores``, the probability of each label."""
        return {"label": result.label, "scores": result.scores}

    def lines(self) -> dict[str, Callable[[Classification], str]]:
        """``.txt``: the label."""
        return {"txt": lambda result: f"{result.label}\n"}

    def table(self, results: "np.ndarray") -> "dict[str, np.ndarray]":
        """``label`` (samples,) and ``scores`` float32 (samples, classes)."""
        import numpy as np

        return {"label": np.array(self.labels, object)[results.argmax(1)], "scores": results.astype(np.float32)}

    def parquet(self, arrow: Any, width: int) -> Any:
        """``scores`` are in the order of the labels, which the metadata lists."""
        import json

        fields = {"label": arrow.string(), "scores": arrow.list_(arrow.float32(), len(self.labels))}
        return arrow.schema(fields, {"labels": json.dumps(self.labels, ensure_ascii=False)})

    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """XLMRobertaForSequenceClassification."""
        return HuggingFaceHead(
            architecture="SequenceClassification",
            masked_lm=False,
            config={
                "id2label": {str(i): label for i, label in enumerate(self.labels)},
                "label2id": {label: i for i, label in enumerate(self.labels)},
            },
            tensors={
                f"{layer}.{kind}": f"classifier.{layer}.{kind}"
                for layer in ("dense", "out_proj")
                for kind in ("weight", "bias")
            },
        )


HEAD = ClassificationHead
