"""From a checkpoint directory to the directory that serving reads, verified against fairseq's own model."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.models.roberta import XLMRModel
from focus_export.directory import HIDDEN_STATES, write_export
from focus_export.onnx_file import write_graph
from focus_export.verify import random_batches, require_equal

from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, sha256, whole_directory
from focus_plugin.jobs.finetune import LABELS
from focus_plugin.jobs.reduction import Reduction, write_reduced
from focus_plugin.jobs.served import Served, read_head, serve, write_served
from focus_plugin.manifest import Manifest, already_made, describe, manifest_of, write_manifest
from focus_plugin.progress import Phase, no_phase
from focus_plugin.vocabulary.files import SENTENCEPIECE, vocabulary_files

KIND = "ONNX model"


@dataclass(frozen=True)
class Export:
    """What to export and how.

    pooling: for encoders without a head, "mean", as if None, or "first". tolerance: largest difference to PyTorch that
    is let through, in any output of the float32 model. hidden_states: have the model give those too. keep_tokens_of: a
    text; tokens it has no use for are left out. reduction: None where nothing is judged, and for float32.
    """

    model: Path
    pooling: str | None
    tolerance: float
    hidden_states: bool
    keep_tokens_of: Path | None
    reduction: Reduction | None


def export_onnx(job: Export, output: Path, phase: Phase = no_phase) -> Manifest:
    """Write the export directory unless ``output`` already holds it.

    The float32 graph is run in ONNX Runtime on batches of every padding pattern and compared with fairseq's model in
    PyTorch, hidden states included. One of less precision or fewer tokens is then judged, on the validation file,
    against the float32 graph with all tokens. Raises FocusError, and writes nothing, if they differ by more than the
    tolerance or lose more than they may.
    """
    manifest = _describe(job)
    if not already_made(output, manifest):
        checkpoint = read_checkpoint(job.model)
        head = read_head(job.model, checkpoint, job.pooling)
        _, tokenizer = vocabulary_files(job.model)
        pooling = job.pooling or "mean"
        served = serve(checkpoint, tokenizer, head, pooling, job.keep_tokens_of, phase)
        found: dict[str, object] = {"checkpoint_tokens": len(checkpoint.vocabulary), "tokens": len(served.kept)}
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
            exact = Path(scratch) / "exact"
            with phase("Writing and verifying", 1):
                found["largest_difference_to_pytorch"] = _write_exact(job, served, exact)
            chosen = exact
            if job.reduction:
                whole = exact
                if job.keep_tokens_of:
                    whole = Path(scratch) / "whole"
                    write_served(serve(checkpoint, tokenizer, head, pooling, None, phase), whole)
                chosen, judged = write_reduced(job.reduction, served, job.hidden_states, exact, whole, phase)
                found |= {**judged, "fp32_bytes": _size(whole)}
            write_manifest(chosen, manifest, {**found, "bytes": _size(chosen)})
            with whole_directory(output) as directory:
                for path in chosen.iterdir():
                    path.rename(directory / path.name)
    return manifest_of(output)


def _describe(job: Export) -> Manifest:
    require_release(job.model)
    _, tokenizer = vocabulary_files(job.model)
    if tokenizer.name != SENTENCEPIECE:
        raise FocusError(f"{job.model}: is tokenized by {tokenizer.name}; what is served needs a SentencePiece model.")
    files = {path.name: path for path in (*checkpoint_files(job.model), job.model / LABELS) if path.is_file()}
    options = {"pooling": job.pooling or "mean", "tolerance": job.tolerance, "hidden_states": job.hidden_states}
    texts = {"keep_tokens_of": job.keep_tokens_of}
    if job.reduction:
        parts = asdict(job.reduction)
        texts |= {name: parts.pop(name) for name in ("validation", "calibration")}
        options |= parts
    files |= {name: existing_file(path) for name, path in texts.items() if path}
    inputs = {name: sha256(path) for name, path in files.items()}
    return describe(KIND, options, inputs, ("torch", "onnx", "onnxruntime", "sentencepiece"))


def _write_exact(job: Export, served: Served, directory: Path) -> float:
    """Write the float32 export; the largest difference of its outputs, and of the hidden states, to PyTorch's."""
    model: Any = XLMRModel.from_pretrained(str(job.model)).model.eval()
    cases = [(*batch, _fairseq_outputs(model, served, *batch)) for batch in random_batches(served.config)]
    differences = []

    def write(path: Path, hidden_states: bool) -> None:
        write_graph(served.graph(hidden_states=hidden_states), path)
        differences.append(require_equal(path, cases, job.tolerance))

    if not job.hidden_states:  # what is shipped then has none to compare
        with tempfile.TemporaryDirectory(dir=directory.parent) as beside:
            write(Path(beside) / "model.onnx", True)
    tokens = (served.sentencepiece, served.piece_ids)
    config = replace(served.config, hidden_states=job.hidden_states)
    write_export(directory, config, lambda path: write(path, job.hidden_states), *tokens)
    return max(differences)


@torch.inference_mode()
def _fairseq_outputs(model: Any, served: Served, ids: np.ndarray, lengths: np.ndarray) -> Mapping[str, np.ndarray]:
    """What fairseq's model says of right-padded ``ids`` (batch, length): the outputs of the graph, by name."""
    hidden = model(torch.from_numpy(served.kept[ids]), features_only=True)[0]
    outputs = {HIDDEN_STATES: hidden}
    if served.config.labels:
        outputs["logits"] = model.classification_heads[served.head](hidden)
    elif served.config.pooling == "first":
        outputs["embedding"] = hidden[:, 0]
    else:
        real = torch.arange(ids.shape[1]) < torch.from_numpy(lengths)[:, None]
        outputs["embedding"] = (hidden * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())
