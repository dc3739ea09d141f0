"""A Unigram ``tokenizer.json`` as the SentencePiece model that cuts text as it does."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from focus_plugin.vocabulary.forms import WORD_START
from focus_plugin.vocabulary.readers import BERT_NAMES
from focus_plugin.vocabulary.vocabulary import BEGIN, END, SPECIALS, UNKNOWN

_SPACES = {"Regex": " {2,}"}  # what transformers has for SentencePiece's remove_extra_whitespaces
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece


@dataclass(frozen=True)
class SentencePieceModel:
    """content: as in a file. left_out: the tokens that it lacks, since no text is cut into them."""

    content: bytes
    left_out: tuple[str, ...]


def sentencepiece_model(tokenizer: Mapping[str, Any]) -> SentencePieceModel | None:
    """The model for the content of a ``tokenizer.json``, or None if SentencePiece has no such tokenizer.

    It can be one if it is a Unigram model behind nothing but SentencePiece's normalization and ``▁`` for spaces, as in
    the tokenizers of XLM-R and T5. Pieces and scores stay in their order behind ``<unk> <s> </s>``, as
    SentencePiece's own training puts them; other special tokens become control symbols, fairseq's own are left out.

    Pieces that SentencePiece refuses and that cut no text are left out: the empty one, all but the last of equal
    pieces, and those with a NUL character, which SentencePiece takes for an unknown one wherever a text has it.
    """
    model, added = tokenizer["model"], tokenizer.get("added_tokens", ())
    normalizers = _parts(tokenizer.get("normalizer"), "normalizers")
    splitters = _parts(tokenizer.get("pre_tokenizer"), "pretokenizers")
    spaces = [part for part in splitters if part["type"] == "Metaspace"]
    if (
        model.get("type") != "Unigram"
        or len(spaces) != 1
        or any(part["type"] not in ("Metaspace", "WhitespaceSplit") for part in splitters)
        or not all(_is_sentencepieces(part) for part in normalizers)
        or not all(token["special"] for token in added)
        or not _unknown_is_special(model)
    ):
        return None
    single = len(splitters) > 1 or any(part["type"] == "Replace" for part in normalizers)
    prepend = spaces[0].get("prepend_scheme", "always" if spaces[0].get("add_prefix_space", True) else "never")
    if prepend == "first" and len(splitters) > 1:  # only the first word would get a mark
        return None
    result = _protobuf.ModelProto()
    result.trainer_spec.model_type = _protobuf.TrainerSpec.UNIGRAM
    result.trainer_spec.byte_fallback = bool(model.get("byte_fallback"))
    result.trainer_spec.pad_id = -1
    result.normalizer_spec.name = "user_defined"
    result.normalizer_spec.add_dummy_prefix = prepend != "never"
    result.normalizer_spec.remove_extra_whitespaces = single
    for part in normalizers:
        if part["type"] == "Precompiled":
            result.normalizer_spec.precompiled_charsmap = base64.b64decode(part["precompiled_charsmap"])
    left_out = _add_pieces(result, model, {token["content"] for token in added}, spaces[0].get("split", True))
    result.trainer_spec.vocab_size = len(result.pieces)
    content = bytes(result.SerializeToString(deterministic=True))
    try:
        sentencepiece.SentencePieceProcessor(model_proto=content)
    except RuntimeError:  # such as for a piece of 10,000 characters
        return None
    return SentencePieceModel(content, left_out)


def _unknown_is_special(model: Mapping[str, Any]) -> bool:
    """Whether unknown text becomes a token that stands for nothing else."""
    unknown = model.get("unk_id")
    return unknown is None or BERT_NAMES.get(name := model["vocab"][unknown][0], name) == UNKNOWN


def _parts(step: Mapping[str, Any] | None, name: str) -> list[Mapping[str, Any]]:
    """The steps of a possibly nested sequence of them."""
    if not step:
        return []
    return [part for inner in step[name] for part in _parts(inner, name)] if step["type"] == "Sequence" else [step]


def _is_sentencepieces(normalizer: Mapping[str, Any]) -> bool:
    return normalizer["type"] in ("Precompiled", "Strip") or (
        normalizer["type"] == "Replace" and normalizer["pattern"] == _SPACES and normalizer["content"] in " ▁"
    )


def _add_pieces(result: Any, model: Mapping[str, Any], special: set[str], split: bool) -> tuple[str, ...]:
    """Returns the pieces that are left out."""
    for name, kind in ((UNKNOWN, _Piece.UNKNOWN), (BEGIN, _Piece.CONTROL), (END, _Piece.CONTROL)):
        result.pieces.add(piece=name, score=0.0, type=kind)
    last = {piece: i for i, (piece, _) in enumerate(model["vocab"])}
    left_out = []
    for i, (piece, score) in enumerate(model["vocab"]):
        if BERT_NAMES.get(piece, piece) in SPECIALS:
            continue
        if not piece or "\0" in piece or last[piece] != i:
            left_out.append(piece)
            continue
        kind = _Piece.NORMAL
        if piece in special:
            kind = _Piece.CONTROL
        elif model.get("byte_fallback") and re.fullmatch("<0x[0-9A-F]{2}>", piece):
            kind = _Piece.BYTE
        elif split and WORD_START in piece[1:]:  # SentencePiece would use it across words
            kind = _Piece.UNUSED
        result.pieces.add(piece=piece, score=score, type=kind)
    return tuple(left_out)
