"""One interface to all tokenizers: functions from lines of text to pieces and to ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sentencepiece
from focus_export.tokenizer import Pieces, pieces_at, sentencepiece_pieces

from focus_plugin.cores import available_cores
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import dictionary_token
from focus_plugin.vocabulary.readers import in_order, load_sentencepiece, load_tokenizer_json, read_json
from focus_plugin.vocabulary.vocabulary import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from tokenizers import Encoding


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer that adds no special tokens.

    tokens: the token of each id, named as in a ``dict.txt``. pieces: a function from lines to the pieces of each line,
    in UTF-8; it uses one thread. ids: a function from lines to the ids of each line; it uses all cores.
    located: as ``ids``, with the offsets of the pieces in their line.
    """

    tokens: tuple[str, ...]
    pieces: Callable[[list[str]], Sequence[Sequence[bytes]]]
    ids: Callable[[list[str]], Sequence[Sequence[int]]]
    located: Callable[[list[str]], Sequence[Pieces]]

    def count(self, lines: list[str]) -> int:
        """The total number of tokens of all lines."""
        return sum(len(ids) for ids in self.ids(lines))


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a ``tokenizer.json`` or a SentencePiece model. Raises FocusError if the file is neither."""
    return hugging_face_tokenizer(path) if path.suffix == ".json" else sentencepiece_tokenizer(path)


def sentencepiece_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a SentencePiece model. Raises FocusError if the file is not one."""
    return processor_tokenizer(load_sentencepiece(path))


def processor_tokenizer(processor: sentencepiece.SentencePieceProcessor) -> Tokenizer:
    """The tokenizer of a loaded SentencePiece model."""
    threads = available_cores()  # by itself, sentencepiece would not respect a container's quota

    def located(lines: list[str]) -> list[Pieces]:
        """The pieces of each line, with their offsets in it."""
        found = processor.encode(lines, return_type="offset_mapping", num_threads=threads)
        return [sentencepiece_pieces(processor, line) for line in found]

    written = [processor.id_to_piece(i) for i in range(len(processor))]
    renamed = {token.encode(): name.encode() for token in written if (name := dictionary_token(token)) != token}

    def pieces(lines: list[str]) -> list[list[bytes]]:
        """The pieces of each line."""
        found: list[list[bytes]] = processor.encode(lines, out_type=bytes, num_threads=1)
        return [[renamed.get(piece, piece) for piece in line] for line in found] if renamed else found

    return Tokenizer(
        tuple(UNKNOWN if processor.is_unknown(i) else dictionary_token(token) for i, token in enumerate(written)),
        pieces,
        lambda lines: processor.encode(lines, num_threads=threads),
        located,
    )


def hugging_face_tokenizer(path: Path) -> Tokenizer:
    """A ``tokenizer.json``."""
    library = load_tokenizer_json(path)
    tokens = in_order(path, library.get_vocab(with_added_tokens=True))

    def encoded(lines: list[str], encode: Callable[..., "list[Encoding]"]) -> "list[Encoding]":
        """What ``encode`` gives for the lines. Raises FocusError for a line that it cannot cut."""
        try:
            return encode(lines, add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception, as for unknown text without an unknown token
            raise FocusError(f"{path}: the tokenizer could not cut a line of text ({error}).") from error

    return _from_ids(
        tokens,
        lambda lines: [found.ids for found in encoded(lines, library.encode_batch_fast)],
        lambda lines: _located(encoded(lines, library.encode_batch)),
    )


def byte_level_tokenizer(vocabulary: Path, merges: Path) -> Tokenizer:
    """The byte-level BPE tokenizer in ``vocab.json`` and ``merges.txt``. Raises FocusError if they do not match."""
    from tokenizers import ByteLevelBPETokenizer

    try:
        library = ByteLevelBPETokenizer(str(vocabulary), str(merges))
    except Exception as error:  # the library raises bare Exception
        raise FocusError(f"{merges}: not the merges of {vocabulary} ({error}).") from error
    return _from_ids(
        in_order(vocabulary, read_json(vocabulary)),
        lambda lines: [found.ids for found in library.encode_batch(lines)],
        lambda lines: _located(library.encode_batch(lines)),
    )


def _from_ids(
    tokens: Sequence[str],
    ids: Callable[[list[str]], list[list[int]]],
    located: Callable[[list[str]], list[Pieces]],
) -> Tokenizer:
    written = [token.encode() for token in tokens]
    return Tokenizer(tuple(tokens), lambda lines: [[written[i] for i in found] for found in ids(lines)], ids, located)


def _located(encoded: "list[Encoding]") -> list[Pieces]:
    return [pieces_at(found.ids, found.offsets) for found in encoded]


def piece_ids(tokenizer: Tokenizer, vocabulary: Vocabulary) -> np.ndarray:
    """The vocabulary's id for each id of the tokenizer, that of ``<unk>`` for a missing token; shape (ids,), int32."""
    ids = np.array([vocabulary.ids.get(token, -1) for token in tokenizer.tokens], dtype=np.int32)
    if (ids < 0).any():  # a vocabulary such as GPT-2's has no <unk> and needs none
        ids[ids < 0] = vocabulary.ids[UNKNOWN]
    return ids
