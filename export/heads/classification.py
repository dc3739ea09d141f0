"""Classes of texts: the most probable label, and the probability of every label."""

from dataclasses import dataclass
from typing import ClassVar

from focus_export.sequence_head import OneLabel, Readout, SequenceHead, labels_fault


@dataclass(frozen=True)
class ClassificationHead(SequenceHead):
    """labels: of the classes, in the order of the logits."""

    name: ClassVar[str] = "classification"

    labels: tuple[str, ...]

    def fault(self) -> str | None:
        """A sentence if the labels are not different strings."""
        return labels_fault(self.labels, "a classification model")

    @property
    def readout(self) -> Readout:
        """The label."""
        return OneLabel(self.labels)


HEAD = ClassificationHead
