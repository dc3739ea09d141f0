"""Reads vocabularies from the files in which tokenizers are published."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentencepiece
from focus_export.tokenizer import parse_tokenizer_json

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, parse_json, read_lines
from focus_plugin.vocabulary.files import TOKENIZER_JSON, dictionary_token, tokenizer_token
from focus_plugin.vocabulary.forms import byte_level_form, ending_form, plain_form, wordpiece_form
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, PAD, SPECIALS, UNKNOWN, Vocabulary

if TYPE_CHECKING:
    import tokenizers

LARGEST_ID = 1 << 24
BERT_NAMES = {"[CLS]": BEGIN, "[PAD]": PAD, "[SEP]": END, "[UNK]": UNKNOWN, "[MASK]": MASK}


def read_vocabulary(path: str | Path) -> Vocabulary:
    """The vocabulary in a ``tokenizer.json`` or a SentencePiece model. Raises FocusError if the file is neither."""
    return read_tokenizer_json(path) if Path(path).suffix == ".json" else read_sentencepiece(path)


def read_dictionary(path: str | Path) -> Vocabulary:
    """The vocabulary in a fairseq ``dict.txt`` (``token count`` on each line), with the ids of its masked-LM task.

    ``<s> <pad> </s> <unk>`` come first, then the file's tokens, and ``<mask>`` last. The canonical forms follow from
    the ``tokenizer.json`` beside the file; if there is none, the tokens are SentencePiece pieces. Raises FocusError,
    with the line, if the file is damaged or has a token twice.
    """
    tokens = [BEGIN, PAD, END, UNKNOWN]
    seen = set(tokens)
    for number, line in enumerate(read_lines(path), 1):
        token, space, count = line.rstrip().removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not space or not re.fullmatch(r"-?\d+", count):
            raise FocusError(f"{path}, line {number}: expected a token and its count separated by a space.")
        if token in seen:
            raise FocusError(f"{path}, line {number}: the token {token!r} occurs twice.")
        seen.add(token)
        tokens.append(token)
    if len(tokens) == 4:
        raise FocusError(f"{path}: the dictionary is empty.")
    if MASK not in seen:
        tokens.append(MASK)
    return with_forms(tokens, form_beside(Path(path)))


def load_sentencepiece(path: str | Path) -> sentencepiece.SentencePieceProcessor:
    """The SentencePiece model in ``path``. Raises FocusError if the file is not one."""
    return parse_sentencepiece(existing_file(path).read_bytes(), path)


def parse_sentencepiece(content: bytes, origin: object) -> sentencepiece.SentencePieceProcessor:
    """The SentencePiece model with the bytes ``content``. Raises FocusError, naming ``origin``, if it is not one."""
    if not content:  # sentencepiece would make a processor without a model
        raise FocusError(f"{origin}: is empty; expected a SentencePiece model.")
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=content)
    except RuntimeError as error:
        raise FocusError(f"{origin}: not a SentencePiece model ({error}).") from error


def text_pieces(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    """All pieces except ``<unk>``, control symbols and fairseq's special tokens, in the order of their ids.

    White space in them is written as in a ``dict.txt``.
    """
    size = processor.get_piece_size()
    text = (i for i in range(size) if not processor.is_unknown(i) and not processor.is_control(i))
    return [dictionary_token(piece) for i in text if (piece := processor.id_to_piece(i)) not in SPECIALS]


def read_sentencepiece(path: str | Path) -> Vocabulary:
    """The vocabulary of a SentencePiece model with XLM-R's ids: four special tokens, the pieces, ``<mask>``.

    Raises FocusError if the file is not a SentencePiece model.
    """
    return processor_vocabulary(load_sentencepiece(path))


def processor_vocabulary(processor: sentencepiece.SentencePieceProcessor) -> Vocabulary:
    """As :func:`read_sentencepiece`, for a loaded model."""
    return with_forms([BEGIN, PAD, END, UNKNOWN, *text_pieces(processor), MASK], plain_form)


def read_tokenizer_json(path: str | Path) -> Vocabulary:
    """The vocabulary of a Hugging Face ``tokenizer.json``, its tokens in the order of their ids.

    Special tokens with BERT's names get fairseq's names. Raises FocusError if the file is not a tokenizer.
    """
    ids = load_tokenizer_json(path).get_vocab(with_added_tokens=True)
    return with_forms(in_order(path, ids), form_of_kind(read_json(path)))


def load_tokenizer_json(path: str | Path) -> "tokenizers.Tokenizer":
    """The tokenizer in ``path``; see ``parse_tokenizer_json``. Raises FocusError if the file is not a tokenizer."""
    return parse_tokenizer_json(existing_file(path).read_bytes(), path)


def read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises FocusError if the file contains anything else."""
    try:
        return dict(parse_json(existing_file(path).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FocusError(f"{path}: not a JSON object ({error}).") from error


def form_of_kind(tokenizer: dict[str, Any]) -> Callable[[str], str]:
    """The function from token to canonical form for the tokenizer in a ``tokenizer.json``; ``tokenizer``: its content.

    WordPiece is recognized by its model, byte-level BPE by its pre-tokenizer or decoder. The tokens of all other kinds,
    with or without byte fallback, are text with ``▁`` for spaces. BPE can mark the ends of words, as HerBERT's does, or
    continuations, as WordPiece does.
    """
    model = tokenizer.get("model") or {}
    if continuation := model.get("continuing_subword_prefix", "##" if model.get("type") == "WordPiece" else None):
        return partial(wordpiece_form, continuation=continuation)
    form: Callable[[str], str] = plain_form
    if '"ByteLevel"' in json.dumps([tokenizer.get("pre_tokenizer"), tokenizer.get("decoder")]):
        form = partial(_byte_level, added={token["content"] for token in tokenizer.get("added_tokens", ())})
    end = model.get("end_of_word_suffix")
    return partial(ending_form, end=end, form=form) if end else form


def form_beside(dictionary: Path) -> Callable[[str], str]:
    """The function from token to canonical form for a ``dict.txt``; SentencePiece's if it has no ``tokenizer.json``."""
    beside = dictionary.with_name(TOKENIZER_JSON)
    return form_of_kind(read_json(beside)) if beside.is_file() else plain_form


def _byte_level(token: str, added: set[str]) -> str:
    """The canonical form of a byte-level token. ``added`` tokens are not written in bytes."""
    return plain_form(token) if token in added else byte_level_form(token)


def read_vocab_json(path: str | Path) -> Vocabulary:
    """The vocabulary in the ``vocab.json`` of a byte-level BPE tokenizer, as in RoBERTa's older files.

    Raises FocusError if the file does not map tokens to ids.
    """
    try:
        return with_forms(in_order(path, read_json(path)), byte_level_form)
    except (AttributeError, TypeError, ValueError) as error:
        raise FocusError(f"{path}: expected a JSON object from token to id ({error}).") from error


def in_order(path: str | Path, ids: dict[str, int]) -> list[str]:
    """Tokens in the order of their ids, named as in a ``dict.txt``; ``path``: the file they are from.

    For an id without a token, a name is made up, so that each row of the embedding matrix keeps its id. Raises
    FocusError for an id that is negative or too large, and if a token already has a made-up name.
    """
    if wrong := [token for token, i in ids.items() if not 0 <= i <= LARGEST_ID]:
        raise FocusError(f"{path}: the token {wrong[0]!r} has the id {ids[wrong[0]]}, which is negative or too large.")
    tokens = [f"<unused_{i}>" for i in range(max(ids.values(), default=-1) + 1)]
    for token, i in ids.items():
        name = BERT_NAMES.get(token, token)
        tokens[i] = dictionary_token(token if name in ids else name)
    if taken := [token for i, token in enumerate(tokens) if ids.get(token, i) != i]:
        raise FocusError(f"{path}: the token {taken[0]!r} occurs twice in the vocabulary.")
    return tokens


def with_forms(tokens: list[str], form: Callable[[str], str]) -> Vocabulary:
    """The vocabulary of ``tokens``, named as in a ``dict.txt``; the form of a special token is the token itself."""
    return Vocabulary.of(tokens, [token if token in SPECIALS else form(tokenizer_token(token)) for token in tokens])
