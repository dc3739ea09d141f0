"""What fairseq-train logged of the validations of a training."""

import json
import re
from pathlib import Path


def validated(model: Path, name: str) -> list[float]:
    """The values of a metric, or of ``loss``, in the log of a model, in the order of the validations."""
    log = (model / "train.log").read_text(encoding="utf-8")
    statistics = [json.loads(line) for line in re.findall(r" \| INFO \| valid \| (\{.*\})", log)]
    return [float(entry[f"valid_{name}"]) for entry in statistics]


def chosen_by(model: Path, name: str) -> bool:
    """Whether a model was chosen by a metric: its value is about the highest of all validations.

    In the training, products are computed in less than float32.
    """
    counts = json.loads((model / "focus.json").read_text(encoding="utf-8"))["counts"]
    highest = max(validated(model, name))
    return counts["chosen_by"] == name and abs(highest - counts[f"valid_{name}"]) < 0.02
