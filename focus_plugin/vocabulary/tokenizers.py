"""Any tokenizer as a function from lines of text to the number of their tokens."""

from collections.abc import Callable
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.readers import load_sentencepiece

Tokenizer = Callable[[list[str]], int]


def sentencepiece_tokenizer(path: Path) -> Tokenizer:
    """Counts the pieces of a SentencePiece model."""
    processor = load_sentencepiece(path)
    return lambda lines: sum(len(ids) for ids in processor.encode(lines, num_threads=-1))


def hugging_face_tokenizer(path: Path) -> Tokenizer:
    """Counts the tokens of a ``tokenizer.json``, special tokens not added."""
    from tokenizers import Tokenizer as Library

    library = Library.from_file(str(path))
    library.no_padding()
    library.no_truncation()
    return lambda lines: sum(len(encoded) for encoded in library.encode_batch(lines, add_special_tokens=False))


def byte_level_tokenizer(vocabulary: Path, merges: Path) -> Tokenizer:
    """Counts the tokens of a byte-level BPE given as ``vocab.json`` and ``merges.txt``."""
    from tokenizers import ByteLevelBPETokenizer

    try:
        library = ByteLevelBPETokenizer(str(vocabulary), str(merges))
    except Exception as error:  # the library raises bare Exception
        raise FocusError(f"{merges}: not the merges of {vocabulary} ({error}).") from error
    return lambda lines: sum(len(encoded) for encoded in library.encode_batch(lines))
