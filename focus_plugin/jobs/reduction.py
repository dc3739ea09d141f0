"""An export of less precision than float32, judged by what it loses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import sentencepiece
from focus_export.directory import write_export
from focus_export.int8 import Ranges
from focus_export.onnx_file import write_graph
from focus_export.ranges import measured_ranges

from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.jobs.quality import predictions, quality, read_validation
from focus_plugin.jobs.served import Served
from focus_plugin.progress import Phase

CALIBRATION_TEXTS = 512


@dataclass(frozen=True)
class Reduction:
    """precision: "fp16" or "int8". validation: what is judged on, a table of ``label_column`` and ``text_column`` for
    a classifier, else a text. max_loss: the relative loss that is let through. calibration: a text to fix int8 scales
    by, which are used unless they lose more than scales measured on every batch."""

    precision: str
    validation: Path
    label_column: str
    text_column: str
    max_loss: float
    calibration: Path | None


def write_reduced(
    job: Reduction, served: Served, hidden_states: bool, exact: Path, phase: Phase
) -> tuple[Path, Mapping[str, object]]:
    """Write exports of less precision beside ``exact``, the float32 one, and judge them; the best, and what was found.

    Raises FocusError if it loses more than ``max_loss``.
    """
    validation = read_validation(job.validation, job.label_column, job.text_column, served.config.labels)
    candidates: dict[str, Ranges | None] = {}
    if job.calibration:
        with phase("Calibrating", 1):
            candidates["fixed"] = _ranges(served, job.calibration)
    candidates["measured"] = None
    judged = {}
    config = replace(served.config, precision=job.precision)
    with phase("Judging", len(candidates) + 1) as progress:
        expected = predictions(exact, validation)
        progress(1)
        for name, ranges in candidates.items():
            write = partial(write_graph, served.graph(job.precision, hidden_states, ranges))
            write_export(exact.with_name(name), config, write, served.sentencepiece, served.piece_ids)
            judged[name] = quality(validation, expected, predictions(exact.with_name(name), validation))
            progress(1)
    best = min(judged, key=lambda name: judged[name].loss)
    loss, scores = judged[best].loss, judged[best].scores
    if not loss <= job.max_loss:
        raise FocusError(
            f"{job.validation}: as {job.precision} the model loses {loss:.2%} of its {next(iter(scores))} here, more "
            f"than --max-loss {job.max_loss:.2%}; nothing written."
        )
    found: dict[str, object] = {"validation_texts": len(validation.texts), "scores": dict(scores), "loss": loss}
    if job.precision == "int8":
        found |= {"scales": best, "losses": {name: quality.loss for name, quality in judged.items()}}
    return exact.with_name(best), found


def _ranges(served: Served, text: Path) -> Ranges:
    """The ranges of activations on the first lines of a text."""
    config, processor = served.config, sentencepiece.SentencePieceProcessor(model_proto=served.sentencepiece)
    lines = islice((line for line in read_lines(text) if line.strip()), CALIBRATION_TEXTS)
    encoded = []
    for pieces in processor.encode(list(lines)):
        ids = served.piece_ids[pieces[: config.max_positions - 2]]
        encoded.append(np.concatenate([[config.bos], ids, [config.eos]]).astype(np.int32))
    if not encoded:
        raise FocusError(f"{text}: the text is empty; it needs at least one line.")
    return measured_ranges(served.graph(), served.graph("int8"), encoded)
