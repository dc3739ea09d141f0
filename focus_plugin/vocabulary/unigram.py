"""Converts a Unigram ``tokenizer.json`` to a SentencePiece model that cuts text in the same way."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from focus_plugin.vocabulary.forms import WORD_START
from focus_plugin.vocabulary.readers import BERT_NAMES
from focus_plugin.vocabulary.vocabulary import BEGIN, END, SPECIALS, UNKNOWN

_SPACES = {"Regex": " {2,}"}  # how transformers writes SentencePiece's remove_extra_whitespaces
_WHITE_SPACE = [c for c in map(chr, range(0x3001)) if c.isspace() and c != "\x85"]  # XLM-R's rules keep U+0085
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece


@dataclass(frozen=True)
class SentencePieceModel:
    """content: the bytes of the model file. left_out: tokens that the model lacks because no text is cut into them."""

    content: bytes
    left_out: tuple[str, ...]


def sentencepiece_model(tokenizer: Mapping[str, Any]) -> SentencePieceModel | None:
    """The model for a ``tokenizer.json`` with the content ``tokenizer``; None if no SentencePiece model is equivalent.

    There is an equivalent one for a Unigram model with only SentencePiece's normalization and ``▁`` before each word,
    such as those of XLM-R and T5. The normalization must turn all white space into spaces, since Hugging Face's library
    divides a text at any white space and SentencePiece only at spaces. In the model, ``<unk> <s> </s>`` come first, as
    in models that SentencePiece trained, and then the pieces with their scores, in their order. fairseq's other special
    tokens are left out; all further special tokens become control symbols.

    Pieces that SentencePiece does not support, and into which no text is cut, are left out: an empty piece, all but the
    last of several equal pieces, and pieces with a NUL character, which for SentencePiece is always unknown.
    """
    model, added = tokenizer["model"], tokenizer.get("added_tokens", ())
    normalizers = _parts(tokenizer.get("normalizer"), "normalizers")
    splitters = _parts(tokenizer.get("pre_tokenizer"), "pretokenizers")
    if (
        model.get("type") != "Unigram"
        or not _is_sentencepieces(normalizers, splitters)
        or not all(token["special"] for token in added)
        or not _unknown_is_special(model)
    ):
        return None
    result = _protobuf.ModelProto()
    result.trainer_spec.model_type = _protobuf.TrainerSpec.UNIGRAM
    result.trainer_spec.byte_fallback = bool(model.get("byte_fallback"))
    result.trainer_spec.pad_id = -1
    result.normalizer_spec.name = "user_defined"
    result.normalizer_spec.add_dummy_prefix = True
    result.normalizer_spec.remove_extra_whitespaces = True
    if normalizers and normalizers[0]["type"] == "Precompiled":
        result.normalizer_spec.precompiled_charsmap = base64.b64decode(normalizers[0]["precompiled_charsmap"])
    left_out = _add_pieces(result, model, {token["content"] for token in added}, splitters[-1].get("split", True))
    result.trainer_spec.vocab_size = len(result.pieces)
    content = bytes(result.SerializeToString(deterministic=True))
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=content)
    except RuntimeError:  # such as for a piece of 10,000 characters
        return None
    kept = any(character in processor.normalize(f"a{character}a") for character in _WHITE_SPACE)
    return None if kept else SentencePieceModel(content, left_out)


def _unknown_is_special(model: Mapping[str, Any]) -> bool:
    """Whether the token for unknown text is ``<unk>`` (or BERT's name of it), or there is none."""
    unknown = model.get("unk_id")
    return unknown is None or BERT_NAMES.get(name := model["vocab"][unknown][0], name) == UNKNOWN


def _parts(step: Mapping[str, Any] | None, name: str) -> list[Mapping[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, which can be a nested sequence; ``name``: the key of its steps."""
    if not step:
        return []
    return [part for inner in step[name] for part in _parts(inner, name)] if step["type"] == "Sequence" else [step]


def _is_sentencepieces(normalizers: Sequence[Mapping[str, Any]], splitters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the steps are those of transformers for a SentencePiece model: its rules, and ``▁`` before each word.

    Words are found by a split at white space, or by taking it away at the end of a text and all but one between words.
    """
    steps = [part["type"] for part in normalizers]
    rest = list(normalizers[steps[:1] == ["Precompiled"] :])
    types = [part["type"] for part in splitters]
    if types not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        return False
    words, marks = len(types) > 1, splitters[-1]
    prepend = marks.get("prepend_scheme", "always" if marks.get("add_prefix_space", True) else "never")
    return (
        marks["replacement"] == WORD_START
        and prepend in (("always",) if words else ("always", "first"))
        and (marks.get("split", True) or not words)
        and (_joins_spaces(rest) or (words and not rest))
    )


def _joins_spaces(normalizers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the steps leave one space between words and none at the end of a text."""
    if [part["type"] for part in normalizers] != ["Strip", "Replace"]:
        return False
    strip, replace = normalizers
    return bool(strip["strip_right"]) and replace["pattern"] == _SPACES and replace["content"] in (" ", WORD_START)


def _add_pieces(result: Any, model: Mapping[str, Any], special: set[str], split: bool) -> tuple[str, ...]:
    """Add the pieces of ``model`` to ``result``; return those that are left out."""
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
        elif split and WORD_START in piece[1:]:  # else SentencePiece would use it across words
            kind = _Piece.UNUSED
        result.pieces.add(piece=piece, score=score, type=kind)
    return tuple(left_out)
