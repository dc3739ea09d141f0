"""What a model loses when it computes less exactly, by the metrics of its task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from focus_plugin.finetuning.declaration import Example, TaskHead


@dataclass(frozen=True)
class Quality:
    """scores: of the exact and of the reduced model, by the name of the metric. loss: the largest relative loss of one
    that decides."""

    scores: Mapping[str, tuple[float, float]]
    loss: float


def quality(task: TaskHead, examples: Sequence[Example], exact: Sequence[Any], reduced: Sequence[Any]) -> Quality:
    """Compare the results of two models for ``examples`` by the task's metrics, of which the first decides.

    Where nothing is expected of an example, it is the exact result.
    """
    expected = [
        result if example.expected is None else example.expected
        for example, result in zip(examples, exact, strict=True)
    ]
    whole, less = (task.metrics(expected, results) for results in (exact, reduced))
    scores = {name: (value, less[name]) for name, value in whole.items()}
    first, second = next(iter(scores.values()))
    return Quality(scores, (first - second) / max(first, 1e-9))


def with_cosine(judged: Quality, name: str, cosine: float) -> Quality:
    """The same quality, with a mean cosine to the exact model's values, which decides as well."""
    loss = max(judged.loss, 1 - cosine) if not math.isnan(judged.loss + cosine) else math.nan
    return Quality({**judged.scores, name: (1.0, cosine)}, loss)


def least_loss(judged: Mapping[str, Quality]) -> str:
    """The name of the quality that loses least; not-a-number is the greatest loss."""
    return min(judged, key=lambda name: math.inf if math.isnan(judged[name].loss) else judged[name].loss)
