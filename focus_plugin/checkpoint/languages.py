"""Embeddings of languages, which a released encoder has as a part of its position embeddings."""

from collections.abc import Mapping

from torch import Tensor

from focus_plugin.checkpoint.names import POSITIONS
from focus_plugin.vocabulary.vocabulary import PAD, Vocabulary

SIDES = ("source", "target")  # the languages, in the order of their embeddings
LANGUAGE_ROWS = "encoder.sentence_encoder.embed_positions.language_rows.weight"
LANGUAGE_FILE = "languages.safetensors"


def folded(tensors: Mapping[str, Tensor], language: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
    """``tensors`` with an embedding, shape (width,), added to that of each position.

    The encoder adds all three, the rows of token, position and language, so it computes the same as with the language
    given for each token. The row of padding is zero and stays so.
    """
    positions = tensors[POSITIONS] + language
    positions[vocabulary.ids[PAD]] = tensors[POSITIONS][vocabulary.ids[PAD]]
    return {**tensors, POSITIONS: positions}
