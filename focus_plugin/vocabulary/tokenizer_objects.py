"""Reads the tokenizers that a Python program passes: objects of several libraries, or paths."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file
from focus_plugin.vocabulary.files import (
    DICTIONARY,
    SENTENCEPIECE,
    TOKENIZER_JSON,
    tokenizer_file,
    vocabulary_files,
    write_dictionary,
)
from focus_plugin.vocabulary.readers import read_dictionary, read_vocabulary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer
from focus_plugin.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class ReadTokenizer:
    """vocabulary: the tokens in the order of their ids. directory: contains ``dict.txt`` and the tokenizer's file."""

    vocabulary: Vocabulary
    tokenizer: Tokenizer
    directory: Path


def read_object(tokenizer: Any, scratch: Path) -> ReadTokenizer:
    """Read a fast tokenizer of transformers, a Tokenizer of tokenizers, a SentencePieceProcessor, or a path.

    A path is that of a SentencePiece model, of a ``tokenizer.json``, or of a directory with one of them. If it is not a
    directory with a ``dict.txt``, the tokenizer and a ``dict.txt`` are written into the new directory ``scratch``.
    Raises FocusError for anything else.
    """
    if isinstance(tokenizer, str | Path) and (Path(tokenizer) / DICTIONARY).is_file():
        dictionary, file = vocabulary_files(tokenizer)
        return ReadTokenizer(
            vocabulary=read_dictionary(dictionary), tokenizer=load_tokenizer(file), directory=file.parent
        )
    scratch.mkdir()
    if isinstance(tokenizer, str | Path):
        path = _file(Path(tokenizer))
        (scratch / (TOKENIZER_JSON if path.suffix == ".json" else SENTENCEPIECE)).write_bytes(path.read_bytes())
    else:
        path = _written(tokenizer, scratch)
    vocabulary = read_vocabulary(path)
    tokens = zip(vocabulary.tokens, vocabulary.special, strict=True)
    write_dictionary(scratch / DICTIONARY, ((token, 0) for token, special in tokens if not special))
    return ReadTokenizer(vocabulary=vocabulary, tokenizer=load_tokenizer(path), directory=scratch)


def _file(path: Path) -> Path:
    found = tokenizer_file(path) if path.is_dir() else existing_file(path)
    if found is None:
        raise FocusError(f"{path}: has no tokenizer; looked for {SENTENCEPIECE} and {TOKENIZER_JSON}.")
    return found


def _written(tokenizer: Any, directory: Path) -> Path:
    library = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if hasattr(library, "to_str"):
        (path := directory / TOKENIZER_JSON).write_text(library.to_str(), encoding="utf-8")
        return path
    if hasattr(tokenizer, "serialized_model_proto"):
        (path := directory / SENTENCEPIECE).write_bytes(tokenizer.serialized_model_proto())
        return path
    raise FocusError(
        f"A tokenizer is of type {type(tokenizer).__name__}; expected a fast tokenizer of transformers, a "
        "Tokenizer of tokenizers, a SentencePieceProcessor or a path."
    )
