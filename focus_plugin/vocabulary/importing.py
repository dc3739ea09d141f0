"""A published tokenizer as target vocabulary."""

from dataclasses import dataclass
from pathlib import Path

from focus_plugin.files import Progress, existing_file, silent
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import CorpusCounts, count_pieces
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE, TOKENIZER_JSON, require_storable, write_dictionary
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


@dataclass(frozen=True, kw_only=True)
class PublishedTokenizer:
    """A tokenizer as it is taken. file: under which name it is kept, with content. left_out: see ``unigram.py``."""

    file: str
    content: bytes
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    left_out: tuple[str, ...] = ()


def read_published(path: Path) -> PublishedTokenizer:
    """The tokenizer in a SentencePiece model or a ``tokenizer.json``.

    A SentencePiece model is taken as it is, a Unigram ``tokenizer.json`` becomes one if it can (see
    ``sentencepiece_model``), and any other is taken as ``tokenizer.json``. Raises FocusError if it is neither.
    """
    content = existing_file(path).read_bytes()
    if path.suffix != ".json":
        return _sentencepiece(SentencePieceModel(content, ()), path)
    load_tokenizer_json(path)  # says what is wrong with it
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

    The dictionary's counts are those of the text. Returns them, and the tokens that are left out. Raises FocusError for
    a text without words, for what is no tokenizer, and for a token that no dictionary can hold.
    """
    published = read_published(tokenizer)
    vocabulary = published.vocabulary
    tokens = [token for token, special in zip(vocabulary.tokens, vocabulary.special, strict=True) if not special]
    require_storable(tokens, tokenizer)
    counts = count_pieces(text, published.tokenizer, progress)
    count_of = dict(zip(published.tokenizer.tokens, counts.pieces, strict=True))
    write_dictionary(output / DICTIONARY, ((token, count_of[token]) for token in tokens))
    (output / published.file).write_bytes(published.content)
    return counts, published.left_out
