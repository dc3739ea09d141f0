"""From a checkpoint directory to the directory that serving reads, verified against fairseq's own model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.models.roberta import XLMRModel
from focus_export.directory import ExportConfig, write_export
from focus_export.graph import build_graph, save_graph
from focus_export.verify import random_batches, require_equal

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines, sha256
from focus_plugin.jobs.finetune import HEAD, LABELS
from focus_plugin.manifest import Manifest, already_made, describe, made, write_manifest
from focus_plugin.vocabulary.files import SENTENCEPIECE, vocabulary_files
from focus_plugin.vocabulary.tokenizers import load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import BEGIN, END, PAD, UNKNOWN

KIND = "ONNX model"


@dataclass(frozen=True)
class Export:
    """What to export. pooling: "mean" or "first", for encoders without a head. tolerance: largest difference to
    PyTorch that is let through, in any output."""

    model: Path
    pooling: str
    tolerance: float


def export_onnx(job: Export, output: Path) -> Manifest:
    """Write the export directory unless ``output`` already holds it.

    The graph is run in ONNX Runtime on batches of every padding pattern and compared with fairseq's model in
    PyTorch. Raises FocusError, and writes nothing, if they differ by more than the tolerance.
    """
    require_release(job.model)
    _, tokenizer = vocabulary_files(job.model)
    if tokenizer.name != SENTENCEPIECE:
        raise FocusError(f"{job.model}: is tokenized by {tokenizer.name}; what is served needs a SentencePiece model.")
    inputs = {path.name: sha256(path) for path in (*checkpoint_files(job.model), job.model / LABELS) if path.is_file()}
    options = {"pooling": job.pooling, "tolerance": job.tolerance}
    manifest = describe(KIND, options, inputs, ("torch", "onnx", "onnxruntime", "sentencepiece"))
    if not already_made(output, manifest):
        checkpoint = read_checkpoint(job.model)
        config = _config(job, checkpoint)
        tensors = {name: tensor.numpy() for name, tensor in {**checkpoint.tensors, **checkpoint.heads}.items()}
        graph = build_graph(checkpoint.config, tensors, HEAD if config.labels else job.pooling)
        model: Any = XLMRModel.from_pretrained(str(job.model)).model.eval()

        def reference(ids: np.ndarray, lengths: np.ndarray) -> Mapping[str, np.ndarray]:
            return _fairseq_outputs(model, config, torch.from_numpy(ids).long(), torch.from_numpy(lengths).long())

        def write_model(path: Path) -> None:
            save_graph(graph, path)
            difference = require_equal(path, reference, random_batches(config), job.tolerance)
            write_manifest(path.parent, manifest, {"largest_difference_to_pytorch": difference})

        pieces = piece_ids(load_tokenizer(tokenizer), checkpoint.vocabulary)
        write_export(output, config, write_model, tokenizer.read_bytes(), pieces)
    return made(output)


def read_head_labels(model: Path, checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """The labels of the classes of a checkpoint's head, None if it has no head; FocusError if they do not fit."""
    if not checkpoint.heads:
        return None
    labels = tuple(read_lines(model / LABELS))
    if len(labels) != len(checkpoint.heads[f"classification_heads.{HEAD}.out_proj.bias"]):
        raise FocusError(f"{model / LABELS}: has {len(labels)} labels, but the model's head another number.")
    return labels


def _config(job: Export, checkpoint: Checkpoint) -> ExportConfig:
    labels = read_head_labels(job.model, checkpoint)
    ids = checkpoint.vocabulary.ids
    return ExportConfig(
        kind="classification" if labels else "embedding",
        labels=labels,
        pooling=None if labels else job.pooling,
        vocabulary=len(checkpoint.vocabulary),
        width=checkpoint.config.width,
        max_positions=checkpoint.config.max_positions,
        bos=ids[BEGIN],
        pad=ids[PAD],
        eos=ids[END],
        unk=ids[UNKNOWN],
    )


@torch.inference_mode()
def _fairseq_outputs(
    model: Any, config: ExportConfig, ids: torch.Tensor, lengths: torch.Tensor
) -> Mapping[str, np.ndarray]:
    """What fairseq's model says of right-padded ``ids`` (batch, length): the outputs of the graph, by name."""
    hidden = model(ids, features_only=True)[0]
    outputs = {"hidden_states": hidden}
    if config.labels:
        outputs["logits"] = model.classification_heads[HEAD](hidden)
    elif config.pooling == "first":
        outputs["embedding"] = hidden[:, 0]
    else:
        real = torch.arange(ids.shape[1]) < lengths[:, None]
        outputs["embedding"] = (hidden * real[:, :, None]).sum(1) / lengths[:, None]
    return {name: tensor.numpy() for name, tensor in outputs.items()}
