"""The loss of quality of a model in reduced precision, by the metrics of its task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from focus_plugin.finetuning.declaration import Example, TaskHead


@dataclass(frozen=True)
class Quality:
    """The metrics of a reduced model and of the exact one.

    scores: of the exact and of the reduced model, by the name of the metric. decisive: the metrics that the reduced
    model is judged by. The loss of a metric is the exact model's score minus the reduced model's. It is not relative to
    the score, because correlations can be zero or negative.
    """

    scores: Mapping[str, tuple[float, float]]
    decisive: tuple[str, ...]

    @property
    def worst(self) -> str:
        """The decisive metric with the largest loss; NaN counts as the largest."""
        return max(self.decisive, key=lambda name: _comparable(self._loss(name)))

    @property
    def loss(self) -> float:
        """The largest loss of a decisive metric; NaN if one is NaN."""
        return self._loss(self.worst)

    def _loss(self, name: str) -> float:
        exact, reduced = self.scores[name]
        return exact - reduced


def quality(task: TaskHead, examples: Sequence[Example], exact: Sequence[Any], reduced: Sequence[Any]) -> Quality:
    """Compare the results of two models for ``examples`` by the task's metrics, of which the first is decisive.

    An example without an expected result expects the exact model's.
    """
    expected = [
        result if example.expected is None else example.expected
        for example, result in zip(examples, exact, strict=True)
    ]
    whole, less = (task.metrics(expected, results) for results in (exact, reduced))
    scores = {name: (value, less[name]) for name, value in whole.items()}
    return Quality(scores, (next(iter(scores)),))


def with_cosine(judged: Quality, name: str, cosine: float) -> Quality:
    """The same quality, with a mean cosine to the exact model's values as another decisive metric."""
    return Quality({**judged.scores, name: (1.0, cosine)}, (*judged.decisive, name))


def least_loss(judged: Mapping[str, Quality]) -> str:
    """The name of the quality with the smallest loss; NaN counts as the largest."""
    return min(judged, key=lambda name: _comparable(judged[name].loss))


def _comparable(loss: float) -> float:
    return math.inf if math.isnan(loss) else loss
