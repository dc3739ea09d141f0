"""What is served of a checkpoint: its tensors and tokens, all or only those that a text needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from focus_export.directory import ExportConfig
from focus_export.graph import build_graph
from focus_export.int8 import Ranges
from focus_export.onnx_file import Graph

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.jobs.finetune import HEAD, LABELS
from focus_plugin.progress import Phase
from focus_plugin.vocabulary.restriction import restrict_pieces
from focus_plugin.vocabulary.tokenizers import load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import BEGIN, END, PAD, UNKNOWN

_SPECIALS = {"bos": BEGIN, "pad": PAD, "eos": END, "unk": UNKNOWN}


@dataclass(frozen=True)
class Served:
    """An encoder as it is served.

    tensors: under fairseq's names, the embedding with a row for every id that is served. sentencepiece: the model's
    bytes. piece_ids: the served id of every piece. kept: the checkpoint's id of every served id, ascending.
    """

    config: ExportConfig
    encoder: EncoderConfig
    tensors: Mapping[str, np.ndarray]
    sentencepiece: bytes
    piece_ids: np.ndarray
    kept: np.ndarray

    def graph(self, precision: str = "fp32", hidden_states: bool = False, ranges: Ranges | None = None) -> Graph:
        """The ONNX graph, see :func:`build_graph`."""
        head = self.config.pooling or HEAD
        return build_graph(self.encoder, self.tensors, head, precision, hidden_states, ranges)


def serve(
    checkpoint: Checkpoint,
    tokenizer: Path,
    labels: tuple[str, ...] | None,
    pooling: str,
    corpus: Path | None,
    phase: Phase,
) -> Served:
    """``checkpoint`` with its SentencePiece model in ``tokenizer``; if ``corpus`` is given, with the tokens it needs.

    labels: of the classes of its head, None if it has none. pooling: without a head, "mean" or "first".
    """
    model, ids = tokenizer.read_bytes(), piece_ids(load_tokenizer(tokenizer), checkpoint.vocabulary)
    special = {field: checkpoint.vocabulary.ids[token] for field, token in _SPECIALS.items()}
    kept = np.arange(len(checkpoint.vocabulary))
    if corpus:
        with phase("Counting tokens", corpus.stat().st_size) as progress:
            model, used = restrict_pieces(tokenizer, corpus, progress)
        kept = np.union1d(ids[used], list(special.values()))
        ids = np.where(used, ids, special["unk"])
    tensors = {name: tensor.numpy() for name, tensor in {**checkpoint.tensors, **checkpoint.heads}.items()}
    tensors[EMBEDDING] = tensors[EMBEDDING][kept]
    config = ExportConfig(
        kind="classification" if labels else "embedding",
        precision="fp32",
        labels=labels,
        pooling=None if labels else pooling,
        vocabulary=len(kept),
        width=checkpoint.config.width,
        max_positions=checkpoint.config.max_positions,
        **{field: int(np.searchsorted(kept, token)) for field, token in special.items()},
    )
    return Served(config, checkpoint.config, tensors, model, np.searchsorted(kept, ids).astype(np.int32), kept)


def read_head_labels(model: Path, checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """The labels of the classes of a checkpoint's head, None if it has no head; FocusError if they do not fit."""
    if not checkpoint.heads:
        return None
    labels = tuple(read_lines(model / LABELS))
    if len(labels) != len(checkpoint.heads[f"classification_heads.{HEAD}.out_proj.bias"]):
        raise FocusError(f"{model / LABELS}: has {len(labels)} labels, but the model's head another number.")
    return labels
