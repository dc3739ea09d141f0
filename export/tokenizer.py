"""Converts a text to the token ids that the model reads."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sentencepiece

from focus_plugin.errors import FocusError, first_line

if TYPE_CHECKING:
    import tokenizers

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


@dataclass(frozen=True, kw_only=True)
class TokenizerFile:
    """The file of a tokenizer.

    path: its name, which errors name; it ends in ``.json`` if the file is a ``tokenizer.json``, and otherwise the file
    is a SentencePiece model. content: its bytes. piece_ids: int32, the token id for each id of the tokenizer.
    """

    path: Path
    content: bytes
    piece_ids: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RowTokens:
    """The special tokens of rows, and their length.

    bos, eos, unk: the ids of ``<s>``, ``</s>`` and ``<unk>``. max_positions: the largest number of tokens in a row,
    ``<s>`` and ``</s>`` included.
    """

    bos: int
    eos: int
    unk: int
    max_positions: int


class TextTokenizer(ABC):
    """Converts texts to token ids and to rows for the model.

    bos, eos, max_positions: see :class:`RowTokens`. word: a function that returns the token ids of a word that is
    encoded by itself, as within a text; ``<unk>`` if it has no piece.
    """

    def __init__(self, tokens: RowTokens) -> None:
        self.bos = tokens.bos
        self.eos = tokens.eos
        self.max_positions = tokens.max_positions
        self._unk = tokens.unk
        self.word = lru_cache(_WORDS)(self._word)

    @abstractmethod
    def ids(self, text: str) -> np.ndarray:
        """The token ids of the pieces of a text, int32 (pieces,). Raises FocusError if it is not valid text."""

    @abstractmethod
    def pieces(self, text: str) -> Pieces:
        """As :meth:`ids`, with the offsets of each piece in the text."""

    def _word(self, word: str) -> tuple[int, ...]:
        """The ids that ``word`` returns and keeps in memory."""
        return tuple(self.ids(self._before_words + word).tolist()) or (self._unk,)

    @cached_property
    def _before_words(self) -> str:
        return before_words(lambda text: self.ids(text).tolist())

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
    """The tokenizer of a SentencePiece model."""

    def __init__(self, file: TokenizerFile, tokens: RowTokens) -> None:
        """Raises FocusError if the file is not a SentencePiece model or does not fit its token ids."""
        super().__init__(tokens)
        self._piece_ids = file.piece_ids
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(file.content)
        except RuntimeError as error:
            raise FocusError(f"{file.path}: not a SentencePiece model ({error}).") from error
        _require_ids(file, len(self._processor))

    def ids(self, text: str) -> np.ndarray:
        """As :meth:`TextTokenizer.ids`."""
        return np.asarray(self._piece_ids[self._encode(text, int)])

    def pieces(self, text: str) -> Pieces:
        """As :meth:`TextTokenizer.pieces`."""
        found = sentencepiece_pieces(self._processor, self._encode(text, "offset_mapping"))
        return replace(found, ids=self._piece_ids[found.ids])

    def _encode(self, text: str, return_type: Any) -> Any:
        require_text(text)
        return self._processor.encode(text, return_type=return_type)


class HuggingFaceTokenizer(TextTokenizer):
    """The tokenizer of a ``tokenizer.json``."""

    def __init__(self, file: TokenizerFile, tokens: RowTokens) -> None:
        """Raises FocusError if the file is not a ``tokenizer.json`` or does not fit its token ids."""
        super().__init__(tokens)
        self._piece_ids = file.piece_ids
        self._library = parse_tokenizer_json(file.content, file.path)
        _require_ids(file, max(self._library.get_vocab(with_added_tokens=True).values(), default=-1) + 1)

    def ids(self, text: str) -> np.ndarray:
        """As :meth:`TextTokenizer.ids`."""
        return self.pieces(text).ids

    def pieces(self, text: str) -> Pieces:
        """As :meth:`TextTokenizer.pieces`. Also raises FocusError if the text cannot be cut."""
        require_text(text)
        try:
            found = self._library.encode(text, add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception, as for unknown text without an unknown token
            raise FocusError(f"cannot be divided into tokens ({error}).") from error
        pieces = pieces_at(found.ids, found.offsets)
        return replace(pieces, ids=self._piece_ids[pieces.ids])


def before_words(ids: Callable[[str], list[int]]) -> str:
    """What to put before a word to cut it as within a text: a space, or nothing if a text begins as any word does.

    Some tokenizers add the space to each text, as Llama's; others have other pieces for a word at the beginning, as
    GPT-2's. ``ids``: a function from a text to its ids.
    """
    return "" if ids("a a") == 2 * ids("a") else " "


def parse_tokenizer_json(content: bytes, origin: object) -> "tokenizers.Tokenizer":
    """The tokenizer in the bytes of a ``tokenizer.json``, without padding, truncation and dropout of merges.

    Names of special tokens in a text are read as text. Raises FocusError, naming ``origin``, if it is not a tokenizer,
    and if the package tokenizers is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise FocusError(f"{origin}: reading it needs the package tokenizers; pip install tokenizers.") from error
    try:
        library = tokenizers.Tokenizer.from_str(content.decode("utf-8"))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises bare Exception, and a panic of Rust is not even one
        raise FocusError(f"{origin}: not a tokenizer file of Hugging Face tokenizers ({first_line(error)}).") from error
    library.no_padding()
    library.no_truncation()
    if hasattr(library.model, "dropout"):  # with it, the same text would be cut in another way each time
        library.model.dropout = None
    library.encode_special_tokens = True
    return library


def text_tokenizer(file: TokenizerFile, tokens: RowTokens) -> TextTokenizer:
    """The tokenizer of a file. Raises FocusError if it is not one, or does not fit its token ids."""
    kind = HuggingFaceTokenizer if file.path.suffix == ".json" else SentencePieceTokenizer
    return kind(file, tokens)


def _require_ids(file: TokenizerFile, pieces: int) -> None:
    if pieces != len(file.piece_ids):
        raise FocusError(f"{file.path}: {pieces} pieces, but piece_ids.npy beside it has {len(file.piece_ids)}.")


def require_text(text: object) -> None:
    """Raise FocusError if ``text`` is not a string, or one that cannot be written in UTF-8."""
    if not isinstance(text, str):
        raise FocusError(f"is a {type(text).__name__}, not text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FocusError("is not valid Unicode; it has a lone surrogate, which UTF-8 cannot encode.") from error
