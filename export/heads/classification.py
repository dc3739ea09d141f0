"""Classes of texts: the most probable label or every probable one, and the probability of every label."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import HeadCard
from focus_export.sequence_head import OneLabel, Readout, SequenceHead, SeveralLabels, labels_fault

if TYPE_CHECKING:
    from focus_export.head import Encoded
    from focus_export.tokenizer import TextTokenizer


@dataclass(frozen=True)
class ClassificationHead(SequenceHead):
    """labels: of the classes, in the order of the logits. separator: of the labels of a text in tables and results;
    empty if a text has one label. thresholds: for each label the probability from which a text has it; none if a text
    has one label."""

    name: ClassVar[str] = "classification"
    card: ClassVar[HeadCard] = HeadCard(
        pipeline_tag="text-classification",
        hugging_face="""from transformers import pipeline

print(pipeline('text-classification', '.', top_k=None)('This is a text.'))""",
    )

    labels: tuple[str, ...]
    separator: str = ""
    thresholds: tuple[float, ...] = ()

    def fault(self) -> str | None:
        """A sentence if the labels are not different strings, or the thresholds not a number for each label."""
        if fault := labels_fault(self.labels, "a classification model"):
            return fault
        if not isinstance(self.separator, str):
            return f'"separator" is {self.separator!r}, not a string'
        numbers = isinstance(self.thresholds, tuple) and all(
            isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
            for value in self.thresholds
        )
        if not numbers or len(self.thresholds) != (len(self.labels) if self.separator else 0):
            return f'"thresholds" is {self.thresholds!r}, not a number between 0 and 1 for each label'
        return None

    @property
    def readout(self) -> Readout:
        """The label, or the labels."""
        if not self.separator:
            return OneLabel(self.labels)
        return SeveralLabels(self.labels, thresholds=self.thresholds, separator=self.separator)

    def sample(self, line: str) -> str:
        """The line; tabs separate texts that are joined by spaces, as those of several columns."""
        return " ".join(line.split("\t"))

    def encode(self, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> "Encoded":
        """``<s>``, the pieces of the text and ``</s>``; several texts are joined by spaces."""
        several = isinstance(sample, tuple | list) and all(isinstance(text, str) for text in sample)
        return super().encode(tokenizer, " ".join(sample) if several else sample, truncate)


HEAD = ClassificationHead
