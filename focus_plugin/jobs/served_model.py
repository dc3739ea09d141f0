"""The part of a checkpoint that is exported: its tensors and tokens, all or only those that a text needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from focus_export.directory import ExportConfig, write_export
from focus_export.graph import build_graph
from focus_export.head import TENSORS
from focus_export.int8 import Ranges
from focus_export.onnx_file import Graph, write_graph
from focus_export.rounding import rounded
from focus_export.tokenizer import TokenizerFile

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.progress import Phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.restriction import restrict_pieces
from focus_plugin.vocabulary.tokenizers import load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import BEGIN, END, PAD, UNKNOWN

_FIELDS = {"bos": BEGIN, "pad": PAD, "eos": END, "unk": UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """An encoder and its head as they are exported.

    tensors: under the names that :func:`build_graph` takes, the embedding with a row for every id that is served.
    tokenizer: with the served ids. kept: the checkpoint's id of every served id, ascending.
    """

    config: ExportConfig
    encoder: EncoderConfig
    tensors: Mapping[str, np.ndarray]
    tokenizer: TokenizerFile
    kept: np.ndarray

    def graph(self, precision: str = "fp32", ranges: Ranges | None = None) -> Graph:
        """The ONNX graph, see :func:`build_graph`."""
        return build_graph(self.encoder, self.tensors, self.config.head, precision, self.config.hidden_states, ranges)

    def with_hidden_states(self) -> "ServedModel":
        """The same model, with the hidden states as another output."""
        return replace(self, config=replace(self.config, hidden_states=True))


def served_model(
    checkpoint: Checkpoint, tokenizer: Path, head: KeptHead, hidden_states: bool, corpus: Text | None, phase: Phase
) -> ServedModel:
    """``checkpoint`` with its tokenizer in the file ``tokenizer``; if ``corpus`` is given, with the tokens it needs.

    ``hidden_states``: whether these are another output. Only a SentencePiece model can be used with a ``corpus``.
    """
    content, ids = tokenizer.read_bytes(), piece_ids(load_tokenizer(tokenizer), checkpoint.vocabulary)
    special = {field: checkpoint.vocabulary.ids[token] for field, token in _FIELDS.items()}
    kept = np.arange(len(checkpoint.vocabulary))
    if corpus:
        with phase("Counting tokens", corpus.bytes) as progress:
            content, used = restrict_pieces(tokenizer, corpus, progress)
        kept = np.union1d(ids[used], list(special.values()))
        ids = np.where(used, ids, special["unk"])
    tensors = {name: tensor.numpy() for name, tensor in checkpoint.tensors.items()}
    tensors |= {f"{TENSORS}{name}": tensor.numpy() for name, tensor in head.tensors.items()}
    tensors[EMBEDDING] = tensors[EMBEDDING][kept]
    tokens: dict[str, Any] = {field: int(np.searchsorted(kept, token)) for field, token in special.items()}
    config = ExportConfig(
        head=head.head,
        precision="fp32",
        vocabulary=len(kept),
        width=checkpoint.config.width,
        max_positions=checkpoint.config.max_positions,
        hidden_states=hidden_states,
        **tokens,
    )
    return ServedModel(
        config=config,
        encoder=checkpoint.config,
        tensors=tensors,
        tokenizer=TokenizerFile(path=tokenizer, content=content, piece_ids=np.searchsorted(kept, ids).astype(np.int32)),
        kept=kept,
    )


def write_served(
    served: ServedModel,
    directory: Path,
    precision: str = "fp32",
    ranges: Ranges | None = None,
    verify: Callable[[Path], object] | None = None,
) -> None:
    """Write an export directory of the graph that :meth:`ServedModel.graph` makes.

    ``verify`` is called with the path of the ONNX model before the directory exists. If it raises an exception, no
    directory is written.
    """

    def write(path: Path) -> None:
        write_graph(served.graph(precision, ranges), path)
        if verify:
            verify(path)

    config = replace(served.config, precision=precision)
    write_export(directory, config, write, served.tokenizer)


def write_rounded(served: ServedModel, directory: Path) -> None:
    """Write an export directory that simulates the bf16 export in float32."""
    write = partial(write_graph, rounded(served.graph("bf16")))
    write_export(directory, served.config, write, served.tokenizer)
