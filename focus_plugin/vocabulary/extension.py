"""Extends a source's vocabulary: its tokens are kept, and the tokens of a language that it lacks are appended."""

import math
from pathlib import Path
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.vocabulary.files import (
    DICTIONARY,
    SENTENCEPIECE,
    TOKENIZER_JSON,
    dictionary_token,
    tokenizer_file,
    vocabulary_files,
    write_dictionary,
)
from focus_plugin.vocabulary.readers import load_sentencepiece, load_tokenizer_json, read_dictionary, read_json
from focus_plugin.vocabulary.training import SCORE_STEP
from focus_plugin.vocabulary.unigram import sentencepiece_model
from focus_plugin.vocabulary.vocabulary import Vocabulary

LANGUAGE_SHARE = 0.02  # assumed share of the language in all text
_SCORE = round(math.log(LANGUAGE_SHARE) / SCORE_STEP) * SCORE_STEP
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece


def extend_vocabulary(source: Path, tokens: Vocabulary, language: Path, output: Path) -> tuple[Path, Path]:
    """Write ``dict.txt`` and the SentencePiece model of the extended vocabulary into ``output``; return their paths.

    ``source``: the directory of an encoder with the vocabulary ``tokens``. ``language``: a directory made by focus
    vocab. The source's tokens come first, in their order and with their scores. Then come the tokens of the language
    that the source lacks, in the order of the language's vocabulary. fairseq appends ``<mask>``. Text is normalized as
    in the source's tokenizer.

    The model is a mixture of the source's unigram model and the language's, which has the probability LANGUAGE_SHARE:
    the score of a new piece is its log-probability in the language's model plus log(LANGUAGE_SHARE). With larger
    scores, other languages would be cut into the new pieces, and the language itself would need hardly fewer tokens.
    With smaller scores, the new pieces would not be used. Raises FocusError if a tokenizer is not a unigram model, if
    the source's cannot be converted to a SentencePiece model, and if there is nothing to append.
    """
    dictionary, tokenizer = vocabulary_files(language)
    model, pieces = _source_model(source), _language_pieces(tokenizer)
    new = [token for token in read_dictionary(dictionary).tokens if token not in tokens.ids]
    if not new:
        raise FocusError(f"{source}: its vocabulary already has all tokens of {language}; there is nothing to append.")
    if absent := [token for token in new if token not in pieces]:
        raise FocusError(f"{dictionary}: the token {absent[0]!r} is not a piece of {tokenizer.name} beside it.")
    held = {piece.piece for piece in model.pieces}
    for piece in (pieces[token] for token in new if pieces[token].piece not in held):
        used = piece.type in (_Piece.NORMAL, _Piece.USER_DEFINED)  # neither a byte nor a special token is text
        kind = _Piece.NORMAL if used else _Piece.UNUSED
        model.pieces.add(piece=piece.piece, score=piece.score + _SCORE, type=kind)
    model.trainer_spec.vocab_size = len(model.pieces)
    (output / SENTENCEPIECE).write_bytes(model.SerializeToString(deterministic=True))
    _write_dictionary(output / DICTIONARY, source / DICTIONARY, tokens, dictionary, set(new))
    return output / DICTIONARY, output / SENTENCEPIECE


def _write_dictionary(path: Path, source: Path, tokens: Vocabulary, language: Path, new: set[str]) -> None:
    """Write the lines of the source's ``dict.txt``, if it has one, and the language's lines of the ``new`` tokens."""
    if source.is_file() and read_dictionary(source) == tokens:
        path.write_bytes(source.read_bytes().rstrip(b"\r\n") + b"\n")
    else:
        text = [token for token, special in zip(tokens.tokens, tokens.special, strict=True) if not special]
        write_dictionary(path, ((token, 0) for token in text))
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in read_lines(language) if line.partition(" ")[0] in new)


def _source_model(directory: Path) -> Any:
    """The SentencePiece model of an encoder in fairseq's or Hugging Face's layout."""
    if path := tokenizer_file(directory):
        return _unigram(path)
    raise FocusError(f"{directory}: has neither {SENTENCEPIECE} nor {TOKENIZER_JSON}; --extend needs its tokenizer.")


def _language_pieces(path: Path) -> dict[str, Any]:
    """The pieces of the language's unigram model by their names in its ``dict.txt``.

    A Unigram ``tokenizer.json`` need not be convertible: only its pieces and their scores are used.
    """
    content = read_json(path) if path.name == TOKENIZER_JSON else {"model": {}}
    model = content["model"]
    if model.get("type") != "Unigram":
        return {dictionary_token(piece.piece): piece for piece in _unigram(path).pieces}
    pieces = {dictionary_token(text): _Piece(piece=text, score=score) for text, score in model["vocab"]}
    for entry in (entry for entry in content["added_tokens"] if entry["special"]):
        pieces[dictionary_token(entry["content"])] = _Piece(piece=entry["content"], type=_Piece.CONTROL)
    for name in {f"<0x{byte:02X}>" for byte in range(256)} & pieces.keys() if model.get("byte_fallback") else ():
        pieces[name].type = _Piece.BYTE
    return pieces


def _unigram(path: Path) -> Any:
    if path.name == TOKENIZER_JSON:
        load_tokenizer_json(path)  # raises FocusError if the file is damaged
        converted = sentencepiece_model(read_json(path))
        content = converted.content if converted else b""
    else:
        load_sentencepiece(path)
        content = path.read_bytes()
    model = _protobuf.ModelProto.FromString(content)
    if not content or model.trainer_spec.model_type != _protobuf.TrainerSpec.UNIGRAM:
        raise FocusError(f"{path}: is not a SentencePiece unigram model; --extend supports no other kind of tokenizer.")
    return model
