"""Makes a target vocabulary from a published tokenizer."""

from dataclasses import dataclass
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, existing_file, silent
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import CorpusCounts, count_pieces
from focus_plugin.vocabulary.files import CONVERSION, DICTIONARY, SENTENCEPIECE, TOKENIZER_JSON, write_dictionary
from focus_plugin.vocabulary.readers import (
    load_tokenizer_json,
    parse_sentencepiece,
    processor_vocabulary,
    read_json,
    read_tokenizer_json,
)
from focus_plugin.vocabulary.tokenizers import Tokenizer, hugging_face_tokenizer, processor_tokenizer
from focus_plugin.vocabulary.unigram import SentencePieceModel, sentencepiece_model
from focus_plugin.vocabulary.vocabulary import Vocabulary

_PARTS = ("vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")


@dataclass(frozen=True, kw_only=True)
class PublishedTokenizer:
    """A tokenizer in the form in which it is saved.

    file, content: the name and the content of its file. left_out: see ``SentencePieceModel``.
    """

    file: str
    content: bytes
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    left_out: tuple[str, ...] = ()


def read_published(path: Path) -> PublishedTokenizer:
    """The tokenizer in a SentencePiece model or a ``tokenizer.json``.

    A SentencePiece model is not changed. A Unigram ``tokenizer.json`` is converted to a SentencePiece model if that is
    possible (see ``sentencepiece_model``). Any other ``tokenizer.json`` is not changed. Raises FocusError if the file
    is neither.
    """
    content = existing_file(path).read_bytes()
    if path.name in _PARTS:
        raise FocusError(f"{path}: is only a part of a tokenizer; {CONVERSION}.")
    if path.suffix != ".json":
        return _sentencepiece(SentencePieceModel(content, ()), path)
    load_tokenizer_json(path)  # raises FocusError if the file is damaged
    if model := sentencepiece_model(read_json(path)):
        return _sentencepiece(model, path)
    return PublishedTokenizer(
        file=TOKENIZER_JSON,
        content=content,
        tokenizer=hugging_face_tokenizer(path),
        vocabulary=read_tokenizer_json(path),
    )


def _sentencepiece(model: SentencePieceModel, path: Path) -> PublishedTokenizer:
    processor = parse_sentencepiece(model.content, path)
    return PublishedTokenizer(
        file=SENTENCEPIECE,
        content=model.content,
        tokenizer=processor_tokenizer(processor),
        vocabulary=processor_vocabulary(processor),
        left_out=model.left_out,
    )


def import_vocabulary(
    text: Text, tokenizer: Path, output: Path, progress: Progress = silent
) -> tuple[CorpusCounts, tuple[str, ...]]:
    """Write a published tokenizer with its ``dict.txt`` into the directory ``output``; see :func:`read_published`.

    The counts in ``dict.txt`` are those of ``text``. Returns the counts and the tokens that are left out (see
    ``SentencePieceModel``). Raises FocusError for a text without words, for a file that is not a tokenizer, and for one
    with only special tokens.
    """
    published = read_published(tokenizer)
    vocabulary = published.vocabulary
    tokens = [token for token, special in zip(vocabulary.tokens, vocabulary.special, strict=True) if not special]
    if not tokens:
        raise FocusError(f"{tokenizer}: has only special tokens; a vocabulary needs tokens for text.")
    counts = count_pieces(text, published.tokenizer, progress)
    count_of = dict(zip(published.tokenizer.tokens, counts.pieces, strict=True))
    write_dictionary(output / DICTIONARY, ((token, count_of[token]) for token in tokens))
    (output / published.file).write_bytes(published.content)
    return counts, published.left_out
