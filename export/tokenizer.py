"""Converts a text to the token ids that the model reads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sentencepiece

from focus_plugin.errors import FocusError

if TYPE_CHECKING:
    from .directory import ExportDirectory

_SPACE = "\u2581"
_WORDS = 1 << 16  # the number of different words whose ids are kept in memory


@dataclass(frozen=True)
class Pieces:
    """The pieces of a text.

    ids: their token ids, integers (pieces,). starts, ends: their offsets in the original text, in characters, int64
    (pieces,). Piece i is made from ``text[starts[i]:ends[i]]``, which can include white space before it. Neither starts
    nor ends decrease. A piece that is a part of one character, such as a ligature or the bytes of an emoji, has the
    offsets of this character. Only a piece that is a space can be empty.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def pieces_at(ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Pieces:
    """The pieces with these ids and offsets."""
    starts, ends = np.array(offsets, np.int64).reshape(-1, 2).T
    return Pieces(np.array(ids, np.int64), starts, ends)


def sentencepiece_pieces(processor: sentencepiece.SentencePieceProcessor, found: Mapping[str, Any]) -> Pieces:
    """The pieces, with the processor's ids, in what ``processor.encode(text, return_type="offset_mapping")`` found.

    SentencePiece gives a character only to the last of the pieces that are parts of it.
    """
    pieces = pieces_at(found["ids"], found["offsets"])
    space = processor.piece_to_id(_SPACE)
    parts = (pieces.starts == pieces.ends) & ((pieces.ids != space) | (space == processor.unk_id()))
    return replace(pieces, ends=np.maximum.accumulate(pieces.ends + parts))


class TextTokenizer(ABC):
    """Converts texts to token ids and to rows for the model.

    bos, eos: the ids of ``<s>`` and ``</s>``. max_positions: the largest number of tokens in a row, these two included.
    word: a function that returns the token ids of a word that is encoded by itself; ``<unk>`` if it has no piece.
    """

    def __init__(self, bos: int, eos: int, max_positions: int) -> None:
        self.bos = bos
        self.eos = eos
        self.max_positions = max_positions
        self.word = lru_cache(_WORDS)(self._word)

    @abstractmethod
    def ids(self, text: str) -> np.ndarray:
        """The token ids of the pieces of a text, int32 (pieces,). Raises FocusError if it is not valid text."""

    @abstractmethod
    def pieces(self, text: str) -> Pieces:
        """As :meth:`ids`, with the offsets of each piece in the text."""

    @abstractmethod
    def _word(self, word: str) -> tuple[int, ...]:
        """The ids that ``word`` returns and keeps in memory."""

    def row(self, ids: np.ndarray, truncate: bool) -> np.ndarray:
        """``<s>``, the ids and ``</s>``: int32 (length,).

        If these are more than ``max_positions`` tokens, the last ids are left out with ``truncate``; otherwise raises
        FocusError.
        """
        length = len(ids) + 2
        if length > self.max_positions and not truncate:
            raise FocusError(
                f"{length} tokens, but the model takes at most {self.max_positions}; split the text, or allow it to be "
                "truncated."
            )
        ids = ids[: self.max_positions - 2]
        row = np.empty(len(ids) + 2, np.int32)
        row[0], row[-1] = self.bos, self.eos
        row[1:-1] = ids
        return row


class SentencePieceTokenizer(TextTokenizer):
    """A tokenizer with the SentencePiece model of an export and its table of token ids."""

    def __init__(
        self, path: Path, content: bytes, piece_ids: np.ndarray, *, bos: int, eos: int, max_positions: int
    ) -> None:
        """``content``: the bytes of the SentencePiece model. ``path``: its file, which errors name.

        Raises FocusError if ``content`` is not a SentencePiece model or does not fit ``piece_ids``.
        """
        super().__init__(bos, eos, max_positions)
        self._piece_ids = piece_ids
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(content)
        except RuntimeError as error:
            raise FocusError(f"{path}: not a SentencePiece model ({error}).") from error
        if len(self._processor) != len(piece_ids):
            raise FocusError(
                f"{path}: {len(self._processor)} pieces, but piece_ids.npy beside it has {len(piece_ids)}."
            )

    def ids(self, text: str) -> np.ndarray:
        """As :meth:`TextTokenizer.ids`."""
        return np.asarray(self._piece_ids[self._encode(text, int)])

    def pieces(self, text: str) -> Pieces:
        """As :meth:`TextTokenizer.pieces`."""
        found = sentencepiece_pieces(self._processor, self._encode(text, "offset_mapping"))
        return replace(found, ids=self._piece_ids[found.ids])

    def _word(self, word: str) -> tuple[int, ...]:
        ids = self.ids(word)
        return tuple(ids.tolist()) or (int(self._piece_ids[self._processor.unk_id()]),)

    def _encode(self, text: str, return_type: Any) -> Any:
        require_text(text)
        try:
            return self._processor.encode(text, return_type=return_type)
        except RuntimeError as error:
            raise FocusError("is not valid Unicode; it has a lone surrogate, which UTF-8 cannot encode.") from error


def export_tokenizer(export: "ExportDirectory") -> SentencePieceTokenizer:
    """The tokenizer of an exported model. Raises FocusError if its files do not fit together."""
    config = export.config
    return SentencePieceTokenizer(
        export.sentencepiece,
        export.sentencepiece.read_bytes(),
        export.piece_ids,
        bos=config.bos,
        eos=config.eos,
        max_positions=config.max_positions,
    )


def require_text(text: object) -> None:
    """Raise FocusError if ``text`` is not a string."""
    if not isinstance(text, str):
        raise FocusError(f"is a {type(text).__name__}, not text.")
