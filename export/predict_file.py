"""Predictions for a file of texts, one a line, as JSON Lines."""

import json
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, read_lines, silent, whole_file

from .runtime import Classification, Prediction, Predictor


def predict_file(
    predictor: Predictor,
    input_path: str | Path,
    output_path: str | Path,
    progress: Progress = silent,
) -> int:
    """Write one JSON object a line of ``input_path``, in their order, and return their number.

    ``{"line": 1, "label": ..., "scores": {label: probability}}`` or ``{"line": 1, "embedding": [...]}``. The output
    appears whole or not at all. ``progress`` is told the bytes read since its last call. Raises FocusError, naming
    the file and line, where a line is not UTF-8 or is too long for the model, and if ``output_path`` exists.
    """
    if Path(output_path).exists():
        raise FocusError(f"{output_path}: is already there; choose another --output or remove it.")
    number = 0
    predictions = predictor.predict(read_lines(input_path, progress), lambda line: f"{input_path}, line {line}")
    with whole_file(output_path) as temporary, open(temporary, "w", encoding="utf-8") as output:
        for number, prediction in enumerate(predictions, 1):
            output.write(json.dumps({"line": number, **_fields(prediction)}, ensure_ascii=False) + "\n")
    return number


def _fields(prediction: Prediction) -> dict[str, object]:
    if isinstance(prediction, Classification):
        return {"label": prediction.label, "scores": prediction.scores}
    return {"embedding": prediction.tolist()}
