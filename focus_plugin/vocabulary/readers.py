"""Vocabularies from the files in which tokenizers are published."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import sentencepiece

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, read_lines
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, PAD, UNKNOWN, Vocabulary


def read_dictionary(path: str | Path) -> Vocabulary:
    """A fairseq ``dict.txt`` (``token count`` a line) as its masked-LM task numbers it.

    ``<s> <pad> </s> <unk>`` come first, the file's tokens next and ``<mask>`` last. Raises FocusError with file
    and line.
    """
    tokens = [BEGIN, PAD, END, UNKNOWN]
    seen = set(tokens)
    for number, line in enumerate(read_lines(path), 1):
        token, space, count = line.rstrip().removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not space or not re.fullmatch(r"-?\d+", count):
            raise FocusError(f"{path}, line {number}: expected a token and its count separated by a space.")
        if token in seen:
            raise FocusError(f"{path}, line {number}: the token {token!r} is there twice.")
        seen.add(token)
        tokens.append(token)
    if len(tokens) == 4:
        raise FocusError(f"{path}: the dictionary is empty.")
    return Vocabulary.of([*tokens, MASK] if MASK not in seen else tokens)


def load_sentencepiece(path: str | Path) -> sentencepiece.SentencePieceProcessor:
    """The SentencePiece model in ``path``; FocusError if it is none."""
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=existing_file(path).read_bytes())
    except RuntimeError as error:
        raise FocusError(f"{path}: not a SentencePiece model.") from error


def text_pieces(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    """The pieces that stand for text, in order: all but ``<unk>`` and the control symbols."""
    size = processor.get_piece_size()
    return [
        processor.id_to_piece(i) for i in range(size) if not processor.is_unknown(i) and not processor.is_control(i)
    ]


def read_sentencepiece(path: str | Path) -> Vocabulary:
    """A SentencePiece model numbered as XLM-R numbers it: four specials, the pieces, ``<mask>``."""
    return Vocabulary.of([BEGIN, PAD, END, UNKNOWN, *text_pieces(load_sentencepiece(path)), MASK])


def piece_ids(processor: sentencepiece.SentencePieceProcessor, vocabulary: Vocabulary) -> np.ndarray:
    """The vocabulary's id of every SentencePiece id, ``<unk>`` where it lacks the piece; shape (pieces,), int32."""
    unknown = vocabulary.ids[UNKNOWN]
    pieces = (processor.id_to_piece(i) for i in range(processor.get_piece_size()))
    return np.array([vocabulary.ids.get(piece, unknown) for piece in pieces], dtype=np.int32)


def read_tokenizer_json(path: str | Path) -> Vocabulary:
    """A Hugging Face ``tokenizer.json`` with its tokens in the order of their ids, canonical forms decoded."""
    from tokenizers import Tokenizer

    try:
        text = existing_file(path).read_text(encoding="utf-8")
        vocabulary = Tokenizer.from_str(text).get_vocab(with_added_tokens=True)
        byte_level = '"ByteLevel"' in json.dumps(json.loads(text).get("decoder"))
    except Exception as error:  # the library raises bare Exception
        raise FocusError(f"{path}: not a tokenizer file of Hugging Face tokenizers ({error}).") from error
    return _in_order(vocabulary, byte_level)


def read_vocab_json(path: str | Path) -> Vocabulary:
    """A ``vocab.json`` of a byte-level BPE tokenizer (RoBERTa's older files)."""
    try:
        return _in_order(json.loads(existing_file(path).read_text(encoding="utf-8")), byte_level=True)
    except (ValueError, AttributeError, TypeError) as error:
        raise FocusError(f"{path}: expected a JSON object from token to id ({error}).") from error


def _in_order(ids: dict[str, int], byte_level: bool) -> Vocabulary:
    """Ids that no token has get a name of their own, so that rows stay where they are."""
    tokens = [f"<unused {i}>" for i in range(max(ids.values()) + 1)]
    for token, i in ids.items():
        tokens[i] = token
    return Vocabulary.of(tokens, [byte_level_form(token) for token in tokens] if byte_level else None)


def byte_level_form(token: str) -> str:
    """The canonical form of a byte-level BPE token: bytes decoded, a leading space written ``▁``.

    A token whose bytes are not whole UTF-8 characters gets them as ``<0xC3>``, which matches no text.
    """
    if not all(character in _byte_of_character() for character in token):
        return token
    raw = bytes(_byte_of_character()[character] for character in token)
    try:
        return raw.decode("utf-8").replace(" ", "▁")
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw)


@cache
def _byte_of_character() -> dict[str, int]:
    """The GPT-2 alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
