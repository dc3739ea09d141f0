"""Converts in memory: makes new embeddings from a model or its embeddings, two tokenizers, and text or vectors.

new = new_embeddings(model, source_tokenizer, target_tokenizer, corpus="sw.txt")
new.put_into(model)
"""

import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from focus_plugin.checkpoint.architecture import SAME, same_architecture
from focus_plugin.checkpoint.checkpoint import Checkpoint, whole_embedding
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.huggingface import CONFIG, from_weights
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Need
from focus_plugin.mixing.discovery import find_method
from focus_plugin.options import Option
from focus_plugin.transfer.initialize import Target, check_finite, initialize, require_device
from focus_plugin.transfer.options import (
    DEFAULT_METHOD,
    initialization,
    method_options,
    shared_options,
    without_effect,
)
from focus_plugin.transfer.origins import Origins
from focus_plugin.vocabulary.tokenizer_objects import ReadTokenizer, read_object

_HEAD = "lm_head.dense.weight"


@dataclass(frozen=True, kw_only=True)
class NewEmbeddings:
    """Embeddings of the target's tokens, in the order of the target tokenizer's ids.

    embedding: the input embeddings, (target, width), float32. output_embedding: the output embedding of the masked-LM
    head, with the same shape; None if it is tied or the source has none. bias: (target,), the bias of the head; None if
    the source has none. origins: where each row came from.
    """

    embedding: Tensor
    output_embedding: Tensor | None
    bias: Tensor | None
    origins: Origins

    def put_into(self, model: Any) -> None:
        """Replace the input and output embeddings and the output bias of a transformers model."""
        model.resize_token_embeddings(len(self.embedding), mean_resizing=False)
        head = model.get_output_embeddings()
        with torch.no_grad():
            model.get_input_embeddings().weight.copy_(self.embedding)
            if head is not None and self.output_embedding is not None:
                head.weight.copy_(self.output_embedding)
            if head is not None and self.bias is not None:
                head.bias.copy_(self.bias)


def new_embeddings(
    source: Any,
    source_tokenizer: Any,
    target_tokenizer: Any,
    *,
    method: str = DEFAULT_METHOD,
    paper: bool = False,
    vectors: Any = None,
    **options: Any,
) -> NewEmbeddings:
    """The new embeddings, computed as ``focus convert`` does, but without files.

    ``source``: the input embeddings, a tensor (source, width), or a model of transformers. If it is a masked LM that
    ``focus convert`` supports, the output bias is fitted to the corpus. From any other model only the embeddings and
    the output bias are used. ``source_tokenizer``, ``target_tokenizer``: a fast tokenizer of transformers, a Tokenizer
    of tokenizers, a SentencePieceProcessor, or the path of a tokenizer's file or of a directory with one. The ids of a
    SentencePiece model are those of XLM-R: ``<s> <pad> </s> <unk>``, the pieces, ``<mask>``. ``vectors``: auxiliary
    vectors of the target's tokens, an array (target, dimension) with a row of zeros for a token without a vector.
    ``options``: options of ``focus convert`` and of the method, by the names of their fields, such as ``corpus`` (a
    path, several paths, or lines of text), ``auxiliary`` or ``match_fuzzy``.

    Raises FocusError if the input is wrong, and for options that are unknown, missing or without effect.
    """
    found = find_method(method)
    declared = found.declaration
    known = {entry.name: entry for entry in (*shared_options(), *method_options(declared))}
    if unknown := [name for name in options if name not in known]:
        raise FocusError(f"There is no option {unknown[0]}; the method {declared.name!r} takes {', '.join(known)}.")
    with tempfile.TemporaryDirectory(prefix="focus-") as directory:
        scratch = Path(directory)
        given = {name: _value(known[name], value, scratch) for name, value in options.items() if value is not None}
        if vectors is not None:
            given["auxiliary"] = _saved(vectors, scratch)
        if sentence := without_effect(declared, given, ""):
            raise FocusError(sentence)
        old, new = read_object(source_tokenizer, scratch / "source"), read_object(target_tokenizer, scratch / "target")
        encoder = _encoder(source, old)
        if not encoder.config.layers:
            _require_no_model(declared.needs, given)
            given["calibrate"] = 0
        how = initialization(found, given, paper=paper, prefix="")
        require_device(how.options.device)
        check_finite(Path("source"), encoder)
        target = Target(vocabulary=new.vocabulary, tokenizer=new.tokenizer, language=new.directory)
        done = initialize(encoder, target, how)
    head = getattr(source, "get_output_embeddings", lambda: None)()
    biased = encoder.config.layers or getattr(head, "bias", None) is not None
    tied = done.tensors[OUTPUT_EMBEDDING] is done.tensors[EMBEDDING]
    return NewEmbeddings(
        embedding=whole_embedding(done.tensors),
        output_embedding=None if tied else done.tensors[OUTPUT_EMBEDDING],
        bias=done.tensors[OUTPUT_BIAS] if biased else None,
        origins=done.origins,
    )


def _value(entry: Option, value: Any, scratch: Path) -> Any:
    """The value of an option with the declared type; lines of a corpus are written to a file."""
    if entry.kind is not Path:
        return value
    if isinstance(value, str | Path):
        return (Path(value),) if entry.many else Path(value)
    path = scratch / f"{entry.name}.txt"
    path.write_text("".join(f"{line}\n" for line in _lines(entry, value)), encoding="utf-8")
    return (path,)


def _lines(entry: Option, value: Any) -> Iterable[str]:
    if entry.name != "corpus" or not isinstance(value, Iterable):
        raise FocusError(f"{entry.name} is {type(value).__name__}; expected a path.")
    return value


def _saved(vectors: Any, scratch: Path) -> Path:
    array = np.asarray(vectors.detach().cpu() if isinstance(vectors, Tensor) else vectors)
    np.savez(path := scratch / "vectors.npz", vectors=array)
    return path


def _encoder(source: Any, tokenizer: ReadTokenizer) -> Checkpoint:
    """The source as a checkpoint; without layers if only its embeddings can be used."""
    if not hasattr(source, "get_input_embeddings"):
        return _without_layers(torch.as_tensor(source), None, None, tokenizer)
    weights = {name: tensor.detach().cpu() for name, tensor in source.state_dict().items()}
    if source.config.model_type in SAME and _HEAD in weights:
        path = Path(source.config.name_or_path or type(source).__name__) / CONFIG
        config = same_architecture(path, source.config.to_dict())
        return from_weights(path, config, weights, tokenizer.vocabulary, tokenizer.tokenizer)
    head = source.get_output_embeddings()
    output, bias = (None, None) if head is None else (head.weight, head.bias)
    return _without_layers(source.get_input_embeddings().weight, output, bias, tokenizer)


def _without_layers(
    embedding: Tensor, output: Tensor | None, bias: Tensor | None, tokenizer: ReadTokenizer
) -> Checkpoint:
    size = len(tokenizer.vocabulary)
    if embedding.ndim != 2 or len(embedding) < size:
        raise FocusError(
            f"The source embeddings have shape {tuple(embedding.shape)}; expected one row for each of the {size} "
            "tokens of the source tokenizer."
        )
    rows, width = _plain(embedding[:size]), embedding.shape[1]
    tied = output is None or output is embedding
    tensors = {
        EMBEDDING: rows,
        OUTPUT_EMBEDDING: rows if tied or output is None else _plain(output[:size]),
        OUTPUT_BIAS: torch.zeros(size) if bias is None else _plain(bias[:size]),
    }
    config = EncoderConfig(0, width, 0, 1, 0, untied=not tied)
    return Checkpoint(config, tensors, tokenizer.vocabulary, tokenizer.tokenizer, {})


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32)


def _require_no_model(needs: Collection[Need], given: Mapping[str, Any]) -> None:
    """Raise FocusError if the method or an option needs a whole encoder."""
    kinds = ", ".join(SAME)
    if Need.MODEL in needs:
        raise FocusError(f"The method needs the source model: a masked LM of transformers of the types {kinds}.")
    if given.get("calibrate"):
        raise FocusError(f"calibrate needs the source model: a masked LM of transformers of the types {kinds}.")
