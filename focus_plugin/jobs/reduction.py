"""An export of less precision than float32, or of fewer tokens than the checkpoint, judged by what it loses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import sentencepiece
from focus_export.batching import batches_by_length, padded
from focus_export.int8 import Ranges
from focus_export.ranges import largest_in_float16, measured_ranges, quantized_tensors
from focus_export.runtime import TOKEN_BUDGET, Predictor

from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.jobs.quality import least_loss, quality, read_validation
from focus_plugin.jobs.served import Served, write_rounded, write_served
from focus_plugin.progress import Phase

CALIBRATION_TEXTS = 512
FLOAT16_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Reduction:
    """precision: "fp32", where tokens were left out, "fp16", "bf16" or "int8". validation: what is judged on, a table
    of ``label_column`` and ``text_column`` for a classifier, else a text. max_loss: the relative loss that is let
    through. calibration: a text to fix int8 scales by, which are used unless they lose more than scales measured on
    every batch."""

    precision: str
    validation: Path
    label_column: str
    text_column: str
    max_loss: float
    calibration: Path | None


def write_reduced(
    job: Reduction, served: Served, hidden_states: bool, exact: Path, whole: Path, phase: Phase
) -> tuple[Path, Mapping[str, object]]:
    """Judge what is lost against ``whole``, the float32 export with all tokens; the best export, and what was found.

    ``exact`` is the float32 export of ``served``, beside which those of less precision are written. fp16 is judged on a
    GPU where there is one, bf16 anywhere by a graph that rounds as it does. Raises FocusError if more than ``max_loss``
    is lost, or if float16 cannot hold a value that the validation texts lead to.
    """
    validation = read_validation(job.validation, job.label_column, job.text_column, served.config.labels)
    candidates: dict[str, Ranges | None] = {}
    if job.calibration:
        with phase("Calibrating", 1):
            candidates["fixed"] = _ranges(served, job.calibration)
    candidates[exact.name if job.precision == "fp32" else "measured"] = None
    judged = {}
    with phase("Judging", len(candidates) + 1) as progress:
        expected = list(Predictor(whole, truncate=True).predict(validation.texts))
        progress(1)
        if job.precision == "fp16":
            _require_float16(job, served, hidden_states, validation.texts)
        for name, ranges in candidates.items():
            directory = exact.with_name(name)
            if directory != exact:
                write_served(served, directory, job.precision, hidden_states, ranges)
            if job.precision == "bf16":
                directory = exact.with_name("rounded")
                write_rounded(served, directory)
            predictor = Predictor(directory, truncate=True)
            judged[name] = quality(validation, expected, list(predictor.predict(validation.texts)))
            progress(1)
    best = least_loss(judged)
    loss, scores = judged[best].loss, judged[best].scores
    if not loss <= job.max_loss:
        of_tokens = "" if whole == exact else " of these tokens"
        raise FocusError(
            f"{job.validation}: as {job.precision}{of_tokens} the model loses {loss:.2%} of its {next(iter(scores))} "
            f"here, more than --max-loss {job.max_loss:.2%}; nothing written."
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


def _require_float16(job: Reduction, served: Served, hidden_states: bool, texts: Sequence[str]) -> None:
    """Raise FocusError if a value that ``texts`` lead to is beyond float16."""
    encoded = _encoded(served, texts)
    cuts = batches_by_length([len(ids) for ids in encoded], TOKEN_BUDGET)
    batches = [padded([encoded[text] for text in texts], served.config.pad) for texts in cuts]
    exact, half = (served.graph(precision, hidden_states) for precision in ("fp32", "fp16"))
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
