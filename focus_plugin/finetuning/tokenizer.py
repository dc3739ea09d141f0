"""The tokenizer of a fairseq release, with the interface of that of served models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from focus_export.tokenizer import Pieces, SentencePieceTokenizer, TextTokenizer, pieces_at, require_text

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import SENTENCEPIECE, vocabulary_files
from focus_plugin.vocabulary.readers import load_tokenizer_json
from focus_plugin.vocabulary.vocabulary import BEGIN, END


class _HuggingFaceTokenizer(TextTokenizer):
    """The tokenizer in a ``tokenizer.json``."""

    def __init__(self, path: Path, encoder: Encoder, max_positions: int) -> None:
        super().__init__(encoder.vocabulary.ids[BEGIN], encoder.vocabulary.ids[END], max_positions)
        self._ids = encoder.ids
        self._library = load_tokenizer_json(path)

    def ids(self, text: str) -> np.ndarray:
        return self.pieces(text).ids

    def pieces(self, text: str) -> Pieces:
        """The pieces of a text. Raises FocusError if it cannot be cut."""
        require_text(text)
        try:
            found = self._library.encode(text, add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception, as for unknown text without an unknown token
            raise FocusError(f"cannot be divided into tokens ({error}).") from error
        pieces = pieces_at(found.ids, found.offsets)
        return replace(pieces, ids=self._ids[pieces.ids])

    def _word(self, word: str) -> tuple[int, ...]:
        raise FocusError("needs a SentencePiece model, to cut a text into pieces word by word.")


def release_tokenizer(directory: Path, encoder: Encoder, max_positions: int) -> TextTokenizer:
    """The tokenizer of a release; ``encoder``: of the same directory. max_positions: most tokens of a row."""
    _, path = vocabulary_files(directory)
    if path.name != SENTENCEPIECE:
        return _HuggingFaceTokenizer(path, encoder, max_positions)
    ids, content = encoder.vocabulary.ids, path.read_bytes()
    return SentencePieceTokenizer(path, content, encoder.ids, bos=ids[BEGIN], eos=ids[END], max_positions=max_positions)
