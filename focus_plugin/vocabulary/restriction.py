"""Removes the pieces that a corpus does not use from a vocabulary, so that an export needs fewer embeddings."""

from pathlib import Path
from typing import Any

import numpy as np
from sentencepiece import sentencepiece_model_pb2

from focus_plugin.files import Progress, silent
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import count_pieces
from focus_plugin.vocabulary.tokenizers import sentencepiece_tokenizer

_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece


def restrict_pieces(tokenizer: Path, text: Text, progress: Progress = silent) -> tuple[bytes, np.ndarray]:
    """A SentencePiece model with only the pieces that ``text`` needs, and which pieces are kept: bool, (pieces,).

    Ids do not change. The other pieces are marked as unused: SentencePiece then cuts their text into kept pieces.
    Single characters are kept, so that no other text becomes unknown, and also pieces that are not text (``<s>``,
    bytes). ``text`` itself is cut as before. ``progress`` is called with the number of bytes read since the last call.
    Raises FocusError for a text without words.
    """
    counts = count_pieces(text, sentencepiece_tokenizer(tokenizer), progress).pieces
    model = _protobuf.ModelProto.FromString(tokenizer.read_bytes())
    kept = np.array([piece.type != _Piece.NORMAL or len(piece.piece) == 1 for piece in model.pieces]) | (counts > 0)
    for piece, keep in zip(model.pieces, kept, strict=True):
        if not keep:
            piece.type = _Piece.UNUSED
    return model.SerializeToString(deterministic=True), kept
