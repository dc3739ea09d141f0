"""From a text to the token ids the model reads."""

import numpy as np
import sentencepiece

from focus_plugin.errors import FocusError

from .directory import Export


class Tokenizer:
    """The SentencePiece model of an export, with its table of token ids."""

    def __init__(self, export: Export) -> None:
        """Raises FocusError if the file is no SentencePiece model or does not fit the table."""
        path = export.sentencepiece
        self._config = export.config
        self._piece_ids = export.piece_ids
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.load(str(path))
        except (RuntimeError, OSError) as error:
            raise FocusError(f"{path}: not a SentencePiece model ({error}).") from error
        if len(self._processor) != len(self._piece_ids):
            raise FocusError(
                f"{path}: {len(self._processor)} pieces, but piece_ids.npy beside it has {len(self._piece_ids)}."
            )

    def encode(self, text: str, truncate: bool, name: str) -> np.ndarray:
        """``<s>``, the token ids of the pieces, ``</s>``: int32 (length,).

        Raises FocusError, which calls the text ``name``, if it is not a string, not valid Unicode, or has more than
        ``max_positions`` tokens; with ``truncate`` it keeps ``<s>``, its first pieces and ``</s>`` instead.
        """
        if not isinstance(text, str):
            raise FocusError(f"{name}: is a {type(text).__name__}, not text.")
        config = self._config
        try:
            pieces = self._processor.encode(text)
        except RuntimeError as error:
            raise FocusError(
                f"{name}: is not valid Unicode; it has a lone surrogate, which UTF-8 cannot hold."
            ) from error
        length = len(pieces) + 2
        if length > config.max_positions and not truncate:
            raise FocusError(
                f"{name}: {length} tokens, but the model takes at most {config.max_positions}; "
                "split the text, or allow it to be truncated."
            )
        pieces = pieces[: config.max_positions - 2]
        ids = np.empty(len(pieces) + 2, np.int32)
        ids[0], ids[-1] = config.bos, config.eos
        ids[1:-1] = self._piece_ids[pieces]
        return ids
