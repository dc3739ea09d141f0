"""Exports a checkpoint directory as an ONNX model, which is verified against fairseq's model."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from focus_export.directory import HIDDEN_STATES
from focus_export.onnx_file import write_graph
from focus_export.verify import random_batches, require_equal

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.errors import FocusError
from focus_plugin.files import require_utf8_name, scratch_directory, sha256
from focus_plugin.finetuning.declaration import TaskHead, checked_examples
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.head_file import head_files
from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.finetuning.torch_model import TorchModel, load_model
from focus_plugin.forecast.export import Judging, onnx_forecast
from focus_plugin.forecast.finetuning import table_amount
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Launch
from focus_plugin.jobs.export_options import OnnxExport
from focus_plugin.jobs.model_head import export_work, model_head
from focus_plugin.jobs.reduction import Reduction, write_reduced
from focus_plugin.jobs.served_model import ServedModel, served_model, write_served
from focus_plugin.manifest import Manifest, describe
from focus_plugin.model_card.card import model_card
from focus_plugin.model_card.use import onnx_use
from focus_plugin.options import build, settings
from focus_plugin.outputs import make_directory
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import SENTENCEPIECE, tokenizer_package, vocabulary_files
from focus_plugin.vocabulary.tokenizers import load_tokenizer

_KIND = "ONNX model"


def export_onnx(job: OnnxExport, output: Path, phase: Phase = no_phase, launch: Launch = AT_ONCE) -> Manifest:
    """Write the export directory unless ``output`` already holds it.

    The float32 graph is run in ONNX Runtime on batches of every padding pattern and compared with fairseq's model in
    PyTorch, hidden states included. A model in reduced precision or with fewer tokens is then compared, on the examples
    in ``valid``, with the float32 graph of all tokens. Raises FocusError, and writes nothing, if the difference is
    larger than the tolerance, or the loss larger than ``max_loss``.
    """
    require_utf8_name(output)

    @cache
    def checkpoint() -> Checkpoint:
        return read_checkpoint(job.model)

    def build_export(directory: Path) -> Mapping[str, object]:
        """Write the export; the counts of the manifest."""
        with scratch_directory(output) as scratch:
            chosen, found = _exported(job, checkpoint(), scratch, phase)
            for path in chosen.iterdir():
                path.rename(directory / path.name)
        return {**found, "bytes": _size(directory)}

    def card(manifest: Manifest) -> str:
        _, kept = model_head(job.model, checkpoint(), job.head)
        unchanged = job.precision == "fp32" and not job.keep_tokens_of and not job.head
        return model_card(manifest, onnx_use(type(kept.head), unchanged))

    def forecast() -> Forecast:
        return _forecast(job, checkpoint(), output)

    return make_directory(output, _describe(job), build_export, forecast, launch, card)


def _describe(job: OnnxExport) -> Manifest:
    require_release(job.model)
    _, tokenizer = vocabulary_files(job.model)
    if job.keep_tokens_of and tokenizer.name != SENTENCEPIECE:
        raise FocusError(
            f"{job.model}: its tokenizer is {tokenizer.name}; --keep-tokens-of needs a SentencePiece model."
        )
    files = {path.name: path for path in (*checkpoint_files(job.model), *head_files(job.model))}
    texts = {"valid": job.valid, "keep_tokens_of": job.keep_tokens_of, "activation_ranges_of": job.activation_ranges_of}
    inputs = {name: sha256(path) for name, path in files.items()}
    inputs |= {name: Text.of(*names).content().digest for name, names in texts.items() if names}
    options = {**settings(job), **dict(job.head)}
    modules = ("torch", "onnx", "onnxruntime", tokenizer_package(tokenizer))
    return describe(_KIND, options, inputs, modules, {"model": job.model})


def _forecast(job: OnnxExport, checkpoint: Checkpoint, output: Path) -> Forecast:
    checkpoint, kept = model_head(job.model, checkpoint, job.head)
    work = export_work(job.model, checkpoint, kept)
    judging = None
    if job.valid:
        task = find_task(kept.head.name)
        examples = checked_examples(task, kept.head, Text.of(*job.valid), build(task.columns, job.head))
        amount = table_amount(examples, load_tokenizer(work.tokenizer), checkpoint.config.max_positions)
        judging = Judging(
            precision=job.precision,
            tokens=math.ceil(amount.tokens),
            exports=2 if job.activation_ranges_of else 1,
            fewer_tokens=bool(job.keep_tokens_of),
        )
    counted = Text.of(*job.keep_tokens_of) if job.keep_tokens_of else None
    return onnx_forecast(work, counted, judging, output)


def _exported(job: OnnxExport, checkpoint: Checkpoint, scratch: Path, phase: Phase) -> tuple[Path, dict[str, object]]:
    """The export directory that becomes the output, inside ``scratch``, and the counts for the manifest."""
    checkpoint, kept = model_head(job.model, checkpoint, job.head)
    task = find_task(kept.head.name)
    _, tokenizer = vocabulary_files(job.model)
    examples = []
    if job.valid:
        examples = list(checked_examples(task, kept.head, Text.of(*job.valid), build(task.columns, job.head), phase))
    corpus = Text.of(*job.keep_tokens_of) if job.keep_tokens_of else None
    served = served_model(checkpoint, tokenizer, kept, job.hidden_states, corpus, phase)
    exact = scratch / "exact"
    found: dict[str, object] = {"checkpoint_tokens": len(checkpoint.vocabulary), "tokens": len(served.kept)}
    with phase("Writing and verifying", 1):
        found["largest_difference_to_pytorch"] = _write_exact(job, task, kept, served, exact)
    if not job.valid:
        return exact, found
    whole = exact
    if corpus:
        whole = scratch / "whole"
        write_served(served_model(checkpoint, tokenizer, kept, False, None, phase), whole)
    reduction = Reduction(
        job=job, task=task, valid=Text.of(*job.valid), examples=examples, served=served, exact=exact, whole=whole
    )
    chosen, judged = write_reduced(reduction, phase)
    return chosen, {**found, **judged, "fp32_bytes": _size(whole)}


def _write_exact(job: OnnxExport, task: TaskHead, kept: KeptHead, served: ServedModel, directory: Path) -> float:
    """Write the float32 export. Returns the largest difference of its outputs and hidden states to those of PyTorch."""
    model = load_model(job.model, task, kept)
    cases = [(*batch, _pytorch_outputs(model, served, *batch)) for batch in random_batches(served.config)]
    differences = []

    def verify(path: Path) -> None:
        differences.append(require_equal(path, cases, job.tolerance))

    if not job.hidden_states:  # the export then has none to compare
        with scratch_directory(directory) as beside:
            path = beside / "model.onnx"
            write_graph(served.with_hidden_states().graph(), path)
            verify(path)
    write_served(served, directory, verify=verify)
    return max(differences)


@torch.inference_mode()
def _pytorch_outputs(
    model: TorchModel, served: ServedModel, ids: np.ndarray, lengths: np.ndarray
) -> Mapping[str, np.ndarray]:
    """The outputs of the graph, by name, as PyTorch computes them for right-padded ``ids`` (batch, length)."""
    hidden, outputs = model(torch.from_numpy(served.kept[ids]), torch.from_numpy(lengths))
    return {name: tensor.numpy() for name, tensor in {HIDDEN_STATES: hidden, **outputs}.items()}


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())
