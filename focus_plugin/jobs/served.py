"""What is served of a checkpoint: its tensors and tokens, all or only those that a text needs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from focus_export.directory import ExportConfig, write_export
from focus_export.graph import build_graph
from focus_export.int8 import Ranges
from focus_export.onnx_file import Graph, write_graph
from focus_export.rounding import rounded

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.jobs.finetune import LABELS
from focus_plugin.progress import Phase
from focus_plugin.vocabulary.restriction import restrict_pieces
from focus_plugin.vocabulary.tokenizers import load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import BEGIN, END, PAD, UNKNOWN

_SPECIALS = {"bos": BEGIN, "pad": PAD, "eos": END, "unk": UNKNOWN}


@dataclass(frozen=True)
class Head:
    """A classification head. name: in the checkpoint. labels: of its classes."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Served:
    """An encoder as it is served.

    head: a pooling, or the name of a classification head. tensors: under fairseq's names, the embedding with a row for
    every id that is served. sentencepiece: the model's bytes. piece_ids: the served id of every piece. kept: the
    checkpoint's id of every served id, ascending.
    """

    config: ExportConfig
    encoder: EncoderConfig
    head: str
    tensors: Mapping[str, np.ndarray]
    sentencepiece: bytes
    piece_ids: np.ndarray
    kept: np.ndarray

    def graph(self, precision: str = "fp32", hidden_states: bool = False, ranges: Ranges | None = None) -> Graph:
        """The ONNX graph, see :func:`build_graph`."""
        return build_graph(self.encoder, self.tensors, self.head, precision, hidden_states, ranges)


def serve(
    checkpoint: Checkpoint,
    tokenizer: Path,
    head: Head | None,
    pooling: str,
    corpus: Path | None,
    phase: Phase,
) -> Served:
    """``checkpoint`` with its SentencePiece model in ``tokenizer``; if ``corpus`` is given, with the tokens it needs.

    pooling: without a head, "mean" or "first".
    """
    model, ids = tokenizer.read_bytes(), piece_ids(load_tokenizer(tokenizer), checkpoint.vocabulary)
    special = {field: checkpoint.vocabulary.ids[token] for field, token in _SPECIALS.items()}
    kept = np.arange(len(checkpoint.vocabulary))
    if corpus:
        with phase("Counting tokens", corpus.stat().st_size) as progress:
            model, used = restrict_pieces(tokenizer, corpus, progress)
        kept = np.union1d(ids[used], list(special.values()))
        ids = np.where(used, ids, special["unk"])
    tensors = {name: tensor.numpy() for name, tensor in {**checkpoint.tensors, **checkpoint.task_heads}.items()}
    tensors[EMBEDDING] = tensors[EMBEDDING][kept]
    tokens: dict[str, Any] = {field: int(np.searchsorted(kept, token)) for field, token in special.items()}
    config = ExportConfig(
        kind="classification" if head else "embedding",
        precision="fp32",
        labels=head.labels if head else None,
        pooling=None if head else pooling,
        vocabulary=len(kept),
        width=checkpoint.config.width,
        max_positions=checkpoint.config.max_positions,
        **tokens,
    )
    served_ids = np.searchsorted(kept, ids).astype(np.int32)
    return Served(config, checkpoint.config, head.name if head else pooling, tensors, model, served_ids, kept)


def write_served(
    served: Served,
    directory: Path,
    precision: str = "fp32",
    hidden_states: bool = False,
    ranges: Ranges | None = None,
) -> None:
    """Write an export directory of the graph that :meth:`Served.graph` makes."""
    write = partial(write_graph, served.graph(precision, hidden_states, ranges))
    config = replace(served.config, precision=precision, hidden_states=hidden_states)
    write_export(directory, config, write, served.sentencepiece, served.piece_ids)


def write_rounded(served: Served, directory: Path) -> None:
    """Write an export directory that gives anywhere what the bf16 one gives on a GPU that has bfloat16."""
    write = partial(write_graph, rounded(served.graph("bf16")))
    write_export(directory, served.config, write, served.sentencepiece, served.piece_ids)


def read_head(model: Path, checkpoint: Checkpoint, pooling: str | None) -> Head | None:
    """The classification head of a checkpoint, with the labels in ``model``, or None if it has none.

    Raises FocusError if it has several, if the labels do not fit, or if a ``pooling`` was asked for in spite of it.
    """
    names = sorted({name.split(".")[1] for name in checkpoint.task_heads})
    if not names:
        return None
    if len(names) > 1:
        raise FocusError(f"{model}: has the heads {', '.join(names)}; a model with one of them can be exported.")
    if pooling:
        raise FocusError(f"{model}: has a classification head, which reads the first token; leave out the pooling.")
    path, bias = model / LABELS, checkpoint.task_heads.get(f"classification_heads.{names[0]}.out_proj.bias")
    if bias is None:
        raise FocusError(f"{model}: its head {names[0]} has no out_proj.bias, so that it is not fairseq's.")
    if not path.is_file():
        raise FocusError(f"{path}: no such file; it has to name the {len(bias)} classes of the head, one a line.")
    labels = tuple(read_lines(path))
    if len(labels) != len(bias):
        raise FocusError(f"{path}: has {len(labels)} labels, but the model's head {len(bias)} classes.")
    if twice := [label for number, label in enumerate(labels) if label in labels[:number]]:
        raise FocusError(f"{path}: has the label {twice[0]!r} twice.")
    return Head(names[0], labels)
