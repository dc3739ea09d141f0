"""From a checkpoint directory to one that transformers and, without a head, sentence-transformers load."""

from pathlib import Path

from focus_plugin.checkpoint.huggingface import write_huggingface
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.checkpoint.sentence_transformers import write_pooling
from focus_plugin.errors import FocusError
from focus_plugin.files import sha256
from focus_plugin.jobs.finetune import LABELS
from focus_plugin.jobs.served import read_head
from focus_plugin.manifest import Manifest, describe
from focus_plugin.outputs import make_directory
from focus_plugin.vocabulary.files import SENTENCEPIECE, vocabulary_files

KIND = "Hugging Face model"


def export_huggingface(model: Path, output: Path, pooling: str | None = None) -> Manifest:
    """Write the directory, of a model for classification if ``model`` has a head, unless ``output`` holds it.

    Without a head it is a masked LM, and for sentence-transformers an embedding by ``pooling``: "mean", as if None, or
    "first". Raises FocusError for a model whose tokenizer is not a SentencePiece unigram model.
    """
    require_release(model)
    _, tokenizer = vocabulary_files(model)
    if tokenizer.name != SENTENCEPIECE:
        raise FocusError(f"{model}: is tokenized by {tokenizer.name}; only SentencePiece unigram models are exported.")
    inputs = {path.name: sha256(path) for path in (*checkpoint_files(model), model / LABELS) if path.is_file()}
    manifest = describe(KIND, {"pooling": pooling or "mean"}, inputs, ("torch", "safetensors", "tokenizers"))

    def build(directory: Path) -> dict[str, object]:
        checkpoint = read_checkpoint(model)
        head = read_head(model, checkpoint, pooling)
        labels = head.labels if head else ()
        tensors = {**checkpoint.tensors, **checkpoint.task_heads}
        write_huggingface(directory, checkpoint.config, tensors, checkpoint.vocabulary, tokenizer, labels)
        if not labels:
            write_pooling(directory, checkpoint.config.width, checkpoint.config.max_positions, pooling or "mean")
        return {"tokens": len(checkpoint.vocabulary), "labels": list(labels)}

    return make_directory(output, manifest, build)
