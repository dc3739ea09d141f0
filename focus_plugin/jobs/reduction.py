"""Writes exports in reduced precision or with fewer tokens, and measures their loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from focus_export.batching import batches_by_length, padded
from focus_export.directory import HIDDEN_STATES, INPUTS, ONNX_MODEL
from focus_export.head import encoded_sample
from focus_export.int8 import Ranges
from focus_export.providers import start_session
from focus_export.ranges import largest_in_float16, measured_ranges, quantized_tensors
from focus_export.runtime import CPU_TOKEN_BUDGET, Predictor
from focus_export.tokenizer import text_tokenizer
from focus_export.verify import PaddedBatch

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, TaskHead
from focus_plugin.finetuning.evaluation import example_results
from focus_plugin.jobs.export_options import OnnxExport
from focus_plugin.jobs.quality import Quality, least_loss, quality, with_cosine
from focus_plugin.jobs.served_model import ServedModel, write_rounded, write_served
from focus_plugin.progress import Phase
from focus_plugin.text import Text

RANGE_TEXTS = 512
FLOAT16_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """A model to reduce, and the data on which the loss is measured.

    job: precision, the texts of the ranges, and the largest loss. examples: of the file ``valid``. served: the
    model to export. exact: its float32 export, beside which the reduced ones are written. whole: the float32 export of
    all tokens; if no tokens are left out, it is ``exact``.
    """

    job: OnnxExport
    task: TaskHead
    valid: Text
    examples: Sequence[Example]
    served: ServedModel
    exact: Path
    whole: Path

    def results(self, predictor: Predictor) -> list[Any]:
        """The results of a model for the examples."""
        return list(example_results(self.task, predictor.predict, self.examples))

    def batches(self) -> list[PaddedBatch]:
        """The examples as batches of the model's inputs."""
        rows = encoded_rows(self.served, [sample for example in self.examples for sample in self.task.samples(example)])
        cuts = batches_by_length([len(row) for row in rows], CPU_TOKEN_BUDGET)
        return [padded([rows[row] for row in cut], self.served.config.pad) for cut in cuts]


def write_reduced(reduction: Reduction, phase: Phase) -> tuple[Path, Mapping[str, object]]:
    """Write the exports and compare them with the whole model. Returns the best export, and counts for the manifest.

    The loss of fp16 is measured on a GPU if there is one, that of bf16 by a graph that simulates its rounding. If the
    model outputs hidden states, their mean cosine to those of the float32 model with the same tokens is another
    metric. Raises FocusError if the loss is larger than ``max_loss``, or if a value is too large for float16.
    """
    job, served, exact = reduction.job, reduction.served, reduction.exact
    candidates: dict[str, Ranges | None] = {}
    if job.activation_ranges_of:
        with phase("Measuring activations", 1):
            candidates["fixed"] = activation_ranges(served, Text.of(*job.activation_ranges_of), exact.parent)
    candidates[exact.name if job.precision == "fp32" else "measured"] = None
    judged, provider = {}, ""
    with phase("Judging", len(candidates) + 1) as progress:
        expected = reduction.results(Predictor(reduction.whole, truncate=True))
        progress(1)
        if job.precision == "fp16":
            _require_float16(reduction)
        for name, ranges in candidates.items():
            directory = exact.with_name(name)
            if directory != exact:
                write_served(served, directory, job.precision, ranges)
            if job.precision == "bf16":
                directory = exact.with_name("rounded")
                write_rounded(served, directory)
            judged[name], provider = _judged(reduction, expected, directory)
            progress(1)
    best = least_loss(judged)
    loss, scores, worst = judged[best].loss, judged[best].scores, judged[best].worst
    if not loss <= job.max_loss:
        tokens = "" if reduction.whole == exact else " with these tokens"
        whole, less = scores[worst]
        raise FocusError(
            f"{reduction.valid}: in {job.precision}{tokens}, the model's {worst.replace('_', ' ')} on it is "
            f"{less:.6g} instead of {whole:.6g}. The loss is larger than --max-loss {job.max_loss:g}; nothing was "
            "written."
        )
    found: dict[str, object] = {"valid_samples": len(reduction.examples), "scores": dict(scores), "loss": loss}
    found["judged_on"] = provider
    if job.precision == "int8":
        found |= {"scales": best, "losses": {name: of_export.loss for name, of_export in judged.items()}}
    return exact.with_name(best), found


def _judged(reduction: Reduction, expected: Sequence[Any], directory: Path) -> tuple[Quality, str]:
    """The quality of an export, and the provider that it ran on."""
    predictor = Predictor(directory, truncate=True)
    judged = quality(reduction.task, reduction.examples, expected, reduction.results(predictor))
    if reduction.served.config.hidden_states and directory != reduction.exact:
        cosine = _cosine_of_hidden_states(reduction.exact, directory, reduction.batches())
        judged = with_cosine(judged, "hidden_states_cosine", cosine)
    return judged, predictor.model.provider.removesuffix("ExecutionProvider")


def _cosine_of_hidden_states(exact: Path, reduced: Path, batches: Sequence[PaddedBatch]) -> float:
    """The mean cosine of two models' hidden states of all real tokens."""
    sessions = [start_session(directory / ONNX_MODEL) for directory in (exact, reduced)]
    total, tokens = 0.0, 0
    for ids, lengths in batches:
        feeds = dict(zip(INPUTS, (ids, lengths), strict=True))
        real = np.arange(ids.shape[1]) < lengths[:, None]
        one, other = (session.run([HIDDEN_STATES], feeds)[0][real].astype(np.float64) for session in sessions)
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        total += float(((one * other).sum(1) / norms).sum())
        tokens += len(one)
    return total / tokens


def activation_ranges(served: ServedModel, text: Text, scratch: Path) -> Ranges:
    """The ranges of activations on the first lines of a text. Each line is a batch of its own, without padding.

    They are those of the tensors that the int8 graph of ``served`` quantizes. If it outputs hidden states, its last
    layer computes all tokens instead of only ``<s>``. ``scratch``: a directory for temporary files. Raises FocusError
    for a text without words.
    """
    lines = islice((line for line in text.lines() if line.strip()), RANGE_TEXTS)
    try:
        rows = encoded_rows(served, [served.config.head.sample(line) for line in lines])
    except FocusError as error:
        raise FocusError(f"{text}: a line of it {error}") from error
    if not rows:
        raise FocusError(f"{text}: the text is empty; it needs at least one line.")
    batches = [padded([row], served.config.pad) for row in rows]
    return measured_ranges(served.graph(), quantized_tensors(served.graph("int8")), batches, scratch)


def _require_float16(reduction: Reduction) -> None:
    """Raise FocusError if a value that is computed for the examples is too large for float16."""
    exact, half = (reduction.served.graph(precision) for precision in ("fp32", "fp16"))
    name, largest = largest_in_float16(exact, half, reduction.batches(), reduction.exact.parent)
    if not largest <= FLOAT16_LARGEST:
        raise FocusError(
            f"{reduction.valid}: on it, {name} reaches {largest:.3g}, but the largest float16 is "
            f"{FLOAT16_LARGEST:.0f}; nothing was written. Export in another precision."
        )


def encoded_rows(served: ServedModel, samples: Sequence[Any]) -> list[np.ndarray]:
    """The rows of token ids of samples, int32 (length,); long texts are cut."""
    head, tokenizer = served.config.head, text_tokenizer(served.tokenizer, served.config.row_tokens)
    return [row for sample in samples for row in encoded_sample(head, tokenizer, sample, True).rows]
