"""The byte-level vocabulary of a hypernetwork, in whose pieces it reads a token.

The vocabulary is that of the source model, with all tokens written in bytes, and with the single bytes that it lacks.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.forms import byte_alphabet, byte_characters
from focus_plugin.vocabulary.readers import load_tokenizer_json, read_json, read_tokenizer_json
from focus_plugin.vocabulary.vocabulary import Vocabulary

NEVER = -100_000.0  # the score of a byte that the vocabulary lacked


@dataclass(frozen=True)
class ByteVocabulary:
    """pieces: each in GPT-2's alphabet of bytes, special tokens by name. cut: a function from such a token to ids."""

    pieces: tuple[str, ...]
    cut: Callable[[str], list[int]]


def read_byte_vocabulary(path: Path) -> ByteVocabulary:
    """The vocabulary in the ``tokenizer.json`` of a hypernetwork, whether it is in bytes already or not.

    Raises FocusError if the file is damaged, or if its tokenizer is neither byte-level nor a unigram model.
    """
    from tokenizers import models

    library, content = load_tokenizer_json(path), read_json(path)
    vocabulary = read_tokenizer_json(path)
    pieces = [*in_bytes(vocabulary)]
    if '"ByteLevel"' in json.dumps(content.get("pre_tokenizer")):
        model = library.model
    elif content["model"].get("type") == "Unigram":
        scores = {pieces[vocabulary.ids[token]]: float(score) for token, score in content["model"]["vocab"]}
        scores = dict.fromkeys(byte_alphabet(), NEVER) | scores
        known = {*pieces}
        pieces += [character for character in byte_alphabet() if character not in known]
        model = models.Unigram([(piece, scores.get(piece, 0.0)) for piece in pieces], content["model"].get("unk_id"))
    else:
        raise FocusError(f"{path}: is neither a byte-level tokenizer nor a unigram model, as hypernetworks have.")
    return ByteVocabulary(tuple(pieces), lambda token: [piece.id for piece in model.tokenize(token)])


def in_bytes(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Each token in GPT-2's alphabet of bytes; special tokens by name."""
    return tuple(
        token if special else byte_characters(form)
        for token, form, special in zip(vocabulary.tokens, vocabulary.forms, vocabulary.special, strict=True)
    )


def cut_tokens(vocabulary: ByteVocabulary, tokens: Sequence[str], longest: int, padding: int) -> tuple[np.ndarray, int]:
    """The ids of the pieces of each token, (tokens, longest), int64, ``padding`` after them; how many tokens have more.

    ``tokens``: in GPT-2's alphabet of bytes. Pieces after the first ``longest`` are left out.
    """
    pieces, longer = np.full((len(tokens), longest), padding, np.int64), 0
    for row, token in zip(pieces, tokens, strict=True):
        cut = vocabulary.cut(token)
        longer += len(cut) > longest
        row[: len(cut)] = cut[:longest]
    return pieces, longer
