"""What a model loses when it computes less exactly, by the measure of its task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from focus_export.runtime import Classification, Prediction
from sklearn.metrics import accuracy_score, f1_score

from focus_plugin.data import Table
from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines


@dataclass(frozen=True)
class Validation:
    """Texts to judge a model by. labels: what each should be classified as; None where embeddings are compared."""

    texts: Sequence[str]
    labels: Sequence[str] | None


@dataclass(frozen=True)
class Quality:
    """scores: of the exact and of the reduced model, by the name of the measure. loss: relative, of the first one."""

    scores: Mapping[str, tuple[float, float]]
    loss: float


def read_validation(path: Path, label_column: str, text_column: str, labels: Sequence[str] | None) -> Validation:
    """Of a classifier with ``labels`` a table with the two columns, of an encoder (None) a text, one sample a line.

    Raises FocusError for a malformed table, an unknown label and a file without text.
    """
    if labels is None:
        texts = [line for line in read_lines(path) if line.strip()]
        if not texts:
            raise FocusError(f"{path}: the text is empty; it needs at least one line.")
        return Validation(texts, None)
    rows = list(Table(path, label_column, text_column).rows())
    for line, label, _ in rows:
        if label not in labels:
            raise FocusError(f"{path}, line {line}: the model has no label {label!r}; it has {', '.join(labels)}.")
    return Validation([text for _, _, text in rows], [label for _, label, _ in rows])


def quality(validation: Validation, exact: Sequence[Prediction], reduced: Sequence[Prediction]) -> Quality:
    """Compare the predictions of two models for the texts of ``validation``.

    Classifiers by accuracy and macro-F1; encoders by the mean cosine of their embeddings with the exact ones.
    """
    if validation.labels is None:
        pairs = zip(np.array(exact), np.array(reduced), strict=True)
        cosine = float(np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]))
        return Quality({"cosine": (1.0, cosine)}, 1 - cosine)
    found = [[item.label for item in items if isinstance(item, Classification)] for items in (exact, reduced)]
    first, second = (float(accuracy_score(validation.labels, labels)) for labels in found)
    f1 = tuple(float(f1_score(validation.labels, labels, average="macro")) for labels in found)
    return Quality({"accuracy": (first, second), "macro_f1": (f1[0], f1[1])}, (first - second) / max(first, 1e-9))


def least_loss(judged: Mapping[str, Quality]) -> str:
    """The name of the quality that loses least; not-a-number is the greatest loss."""
    return min(judged, key=lambda name: math.inf if math.isnan(judged[name].loss) else judged[name].loss)
