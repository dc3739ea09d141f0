"""A vocabulary cut down to what a corpus uses, so that a served model carries no other embeddings."""

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
    """A SentencePiece model that uses no other pieces than ``text`` needs, and which those are: bool (pieces,).

    Ids do not change: the other pieces are marked as unused, which SentencePiece then never gives out; what they
    would have covered is cut into those that are left. Single characters are left, so that no text becomes unknown
    that was not, and pieces that are no text (``<s>``, bytes). The text is cut as before. ``progress`` is told the
    bytes read.
    """
    counts = count_pieces(text, sentencepiece_tokenizer(tokenizer), progress).pieces
    model = _protobuf.ModelProto.FromString(tokenizer.read_bytes())
    kept = np.array([piece.type != _Piece.NORMAL or len(piece.piece) == 1 for piece in model.pieces]) | (counts > 0)
    for piece, keep in zip(model.pieces, kept, strict=True):
        if not keep:
            piece.type = _Piece.UNUSED
    return model.SerializeToString(deterministic=True), kept
