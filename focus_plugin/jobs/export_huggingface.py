"""Exports a checkpoint directory for transformers and, for embeddings, sentence-transformers."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from focus_export.head import HuggingFaceHead

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.huggingface import write_huggingface
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.files import sha256, write_json
from focus_plugin.finetuning.head_file import head_files
from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.forecast.export import huggingface_forecast
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Launch
from focus_plugin.jobs.model_head import export_work, model_head
from focus_plugin.manifest import Manifest, describe
from focus_plugin.model_card.card import model_card
from focus_plugin.model_card.use import hugging_face_use
from focus_plugin.outputs import make_directory
from focus_plugin.vocabulary.files import vocabulary_files

_KIND = "Hugging Face model"


def export_huggingface(
    model: Path, output: Path, given: Mapping[str, Any] | None = None, launch: Launch = AT_ONCE
) -> Manifest:
    """Write the directory, of a model for the task of ``model``'s head, unless ``output`` holds it.

    ``given``: options of the head, by name. Raises FocusError for a tokenizer that Hugging Face's library
    does not support, and for a head that transformers does not have.
    """
    require_release(model)
    _, tokenizer = vocabulary_files(model)
    inputs = {path.name: sha256(path) for path in (*checkpoint_files(model), *head_files(model))}
    manifest = describe(_KIND, dict(given or {}), inputs, ("torch", "safetensors", "tokenizers"), {"model": model})

    @cache
    def read() -> tuple[Checkpoint, KeptHead]:
        return model_head(model, read_checkpoint(model), given or {})

    def their_head() -> HuggingFaceHead:
        checkpoint, kept = read()
        return kept.head.hugging_face(checkpoint.config.width, checkpoint.config.max_positions)

    def build(directory: Path) -> dict[str, object]:
        """Write the files of the encoder and of its head."""
        (checkpoint, kept), theirs = read(), their_head()
        write_huggingface(directory, checkpoint, theirs, kept.tensors, tokenizer)
        for name, content in theirs.files.items():
            (directory / name).parent.mkdir(exist_ok=True)
            write_json(directory / name, content)
        return {"tokens": len(checkpoint.vocabulary), "head": kept.head.name, "factors": checkpoint.config.factors}

    def forecast() -> Forecast:
        return huggingface_forecast(export_work(model, *read()), output)

    def card(manifest: Manifest) -> str:
        _, kept = read()
        return model_card(manifest, hugging_face_use(type(kept.head), their_head(), unchanged=not given))

    return make_directory(output, manifest, build, forecast, launch, card)
