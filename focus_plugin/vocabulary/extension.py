"""A vocabulary that keeps every token of a source's and has besides those of one language's that the source lacks."""

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
    require_storable,
    tokenizer_file,
    vocabulary_files,
    write_dictionary,
)
from focus_plugin.vocabulary.readers import load_sentencepiece, load_tokenizer_json, read_dictionary, read_json
from focus_plugin.vocabulary.training import SCORE_STEP
from focus_plugin.vocabulary.unigram import sentencepiece_model
from focus_plugin.vocabulary.vocabulary import Vocabulary

SHARE = 0.02  # of the language in all text
_SCORE = round(math.log(SHARE) / SCORE_STEP) * SCORE_STEP
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece


def extend_vocabulary(source: Path, tokens: Vocabulary, language: Path, output: Path) -> tuple[Path, Path]:
    """Write ``dict.txt`` and the SentencePiece model of the extended vocabulary into ``output``; returns their paths.

    ``source``: the directory of an encoder with the vocabulary ``tokens``; ``language``: one made by focus vocab.
    The source's tokens and pieces come first, as they are and with their scores, then the language's tokens that the
    source lacks, in the language's order; fairseq puts ``<mask>`` behind all of them. Text is normalized as the
    source normalizes it.

    The pieces are scored as if text came from the source's unigram model and, with a probability of SHARE, from the
    language's: a new piece has its own log-probability plus log(SHARE). Larger scores would hardly save tokens in
    the language, but cut other languages into its pieces; smaller ones would not be used. Raises FocusError unless
    both tokenizers are SentencePiece unigram models or can be, and if there is nothing to append.
    """
    dictionary, tokenizer = vocabulary_files(language)
    model, pieces = _source_model(source), {piece.piece: piece for piece in _unigram(tokenizer).pieces}
    new = [token for token in read_dictionary(dictionary).tokens if token not in tokens.ids]
    if not new:
        raise FocusError(f"{source}: its vocabulary has all tokens of {language}; there is nothing to append.")
    if absent := [token for token in new if token not in pieces]:
        raise FocusError(f"{dictionary}: the token {absent[0]!r} is no piece of {tokenizer.name} beside it.")
    held = {piece.piece for piece in model.pieces}
    for piece in (pieces[token] for token in new if token not in held):
        used = piece.type in (_Piece.NORMAL, _Piece.USER_DEFINED)  # and not for a byte
        kind = _Piece.NORMAL if used else _Piece.UNUSED
        model.pieces.add(piece=piece.piece, score=piece.score + _SCORE, type=kind)
    model.trainer_spec.vocab_size = len(model.pieces)
    (output / SENTENCEPIECE).write_bytes(model.SerializeToString(deterministic=True))
    _write_dictionary(output / DICTIONARY, source / DICTIONARY, tokens, dictionary, set(new))
    return output / DICTIONARY, output / SENTENCEPIECE


def _write_dictionary(path: Path, source: Path, tokens: Vocabulary, language: Path, new: set[str]) -> None:
    """The source's lines as they are, if it has such a file, and the language's of the ``new`` tokens."""
    if source.is_file() and read_dictionary(source) == tokens:
        path.write_bytes(source.read_bytes().rstrip(b"\r\n") + b"\n")
    else:
        text = [token for token, special in zip(tokens.tokens, tokens.special, strict=True) if not special]
        require_storable(text, source.parent)
        write_dictionary(path, ((token, 0) for token in text))
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in read_lines(language) if line.partition(" ")[0] in new)


def _source_model(directory: Path) -> Any:
    """The SentencePiece model of an encoder in any layout."""
    if path := tokenizer_file(directory):
        return _unigram(path)
    raise FocusError(f"{directory}: has neither {SENTENCEPIECE} nor {TOKENIZER_JSON}; --extend needs its tokenizer.")


def _unigram(path: Path) -> Any:
    if path.name == TOKENIZER_JSON:
        load_tokenizer_json(path)  # says what is wrong with it
        converted = sentencepiece_model(read_json(path))
        content = converted.content if converted else b""
    else:
        load_sentencepiece(path)
        content = path.read_bytes()
    model = _protobuf.ModelProto.FromString(content)
    if not content or model.trainer_spec.model_type != _protobuf.TrainerSpec.UNIGRAM:
        raise FocusError(f"{path}: is no SentencePiece unigram model; --extend can append pieces to no other kind.")
    return model
