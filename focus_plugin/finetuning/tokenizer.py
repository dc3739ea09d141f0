"""The tokenizer of a fairseq release, with the interface of that of served models."""

from pathlib import Path

import numpy as np
from focus_export.tokenizer import Pieces, SentencePieceTokenizer, TextTokenizer, require_text

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import SENTENCEPIECE, vocabulary_files
from focus_plugin.vocabulary.vocabulary import BEGIN, END


class _EncoderTokenizer(TextTokenizer):
    """A tokenizer that is not SentencePiece's and has no offsets of pieces."""

    def __init__(self, encoder: Encoder, max_positions: int) -> None:
        super().__init__(encoder.vocabulary.ids[BEGIN], encoder.vocabulary.ids[END], max_positions)
        self._encoder = encoder

    def ids(self, text: str) -> np.ndarray:
        require_text(text)
        (ids,) = self._encoder([text])
        return ids

    def pieces(self, text: str) -> Pieces:
        raise FocusError("needs a SentencePiece model, for the offset of each piece in a text.")


def release_tokenizer(directory: Path, encoder: Encoder, max_positions: int) -> TextTokenizer:
    """The tokenizer of a release; ``encoder``: of the same directory. max_positions: most tokens of a row."""
    _, path = vocabulary_files(directory)
    if path.name != SENTENCEPIECE:
        return _EncoderTokenizer(encoder, max_positions)
    ids, content = encoder.vocabulary.ids, path.read_bytes()
    return SentencePieceTokenizer(path, content, encoder.ids, bos=ids[BEGIN], eos=ids[END], max_positions=max_positions)
