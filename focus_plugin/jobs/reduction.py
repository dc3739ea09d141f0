"""An export of less precision than float32, judged by what it loses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import sentencepiece
from focus_export.batching import batches_by_length, padded
from focus_export.directory import write_export
from focus_export.int8 import Ranges
from focus_export.onnx_file import Graph, write_graph
from focus_export.ranges import largest_in_float16, measured_ranges, quantized_tensors
from focus_export.runtime import TOKEN_BUDGET, Predictor

from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.jobs.quality import quality, read_validation
from focus_plugin.jobs.served import Served
from focus_plugin.progress import Phase

CALIBRATION_TEXTS = 512
FLOAT16_LARGEST = float(np.finfo(np.float16).max)


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

    fp16 is judged on a GPU where there is one. Raises FocusError if it loses more than ``max_loss``, or if float16
    cannot hold a value that the validation texts lead to.
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
        expected = list(Predictor(exact, truncate=True).predict(validation.texts))
        progress(1)
        for name, ranges in candidates.items():
            graph = served.graph(job.precision, hidden_states, ranges)
            if job.precision == "fp16":
                _require_float16(job, served, served.graph(hidden_states=hidden_states), graph, validation.texts)
            write = partial(write_graph, graph)
            write_export(exact.with_name(name), config, write, served.sentencepiece, served.piece_ids)
            predictor = Predictor(exact.with_name(name), truncate=True)
            judged[name] = quality(validation, expected, list(predictor.predict(validation.texts)))
            progress(1)
    best = min(judged, key=lambda name: judged[name].loss)
    loss, scores = judged[best].loss, judged[best].scores
    if not loss <= job.max_loss:
        raise FocusError(
            f"{job.validation}: as {job.precision} the model loses {loss:.2%} of its {next(iter(scores))} here, more "
            f"than --max-loss {job.max_loss:.2%}; nothing written."
        )
    found: dict[str, object] = {"validation_texts": len(validation.texts), "scores": dict(scores), "loss": loss}
    found["judged_on"] = predictor.encoder.provider.removesuffix("ExecutionProvider")
    if job.precision == "int8":
        found |= {"scales": best, "losses": {name: quality.loss for name, quality in judged.items()}}
    return exact.with_name(best), found


def _ranges(served: Served, text: Path) -> Ranges:
    """The ranges of activations on the first lines of a text, of which each runs alone, so that no padding counts."""
    lines = islice((line for line in read_lines(text) if line.strip()), CALIBRATION_TEXTS)
    encoded = _encoded(served, list(lines))
    if not encoded:
        raise FocusError(f"{text}: the text is empty; it needs at least one line.")
    batches = [padded([ids], served.config.pad) for ids in encoded]
    return measured_ranges(served.graph(), quantized_tensors(served.graph("int8")), batches)


def _require_float16(job: Reduction, served: Served, exact: Graph, half: Graph, texts: Sequence[str]) -> None:
    """Raise FocusError if a value that ``texts`` lead to is beyond float16."""
    encoded = _encoded(served, texts)
    cuts = batches_by_length([len(ids) for ids in encoded], TOKEN_BUDGET)
    batches = [padded([encoded[text] for text in texts], served.config.pad) for texts in cuts]
    name, largest = largest_in_float16(exact, half, batches)
    if not largest <= FLOAT16_LARGEST:
        raise FocusError(
            f"{job.validation}: {name} reaches {largest:.3g} here, more than float16 holds, {FLOAT16_LARGEST:.0f}; "
            "nothing written. Export in another precision."
        )


def _encoded(served: Served, texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids of each text, int32 (length,); long ones are cut."""
    config, processor = served.config, sentencepiece.SentencePieceProcessor(model_proto=served.sentencepiece)
    rows = [served.piece_ids[pieces[: config.max_positions - 2]] for pieces in processor.encode(list(texts))]
    return [np.concatenate([[config.bos], row, [config.eos]]).astype(np.int32) for row in rows]
