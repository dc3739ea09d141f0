"""The tokenizer of a fairseq release, with the interface of that of served models."""

from pathlib import Path

from focus_export.tokenizer import RowTokens, TextTokenizer, TokenizerFile, text_tokenizer

from focus_plugin.binary_data import Encoder
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.vocabulary import BEGIN, END, UNKNOWN


def release_tokenizer(directory: Path, encoder: Encoder, max_positions: int) -> TextTokenizer:
    """The tokenizer of a release; ``encoder``: of the same directory. max_positions: most tokens of a row."""
    _, path = vocabulary_files(directory)
    ids = encoder.vocabulary.ids
    tokens = RowTokens(bos=ids[BEGIN], eos=ids[END], unk=ids[UNKNOWN], max_positions=max_positions)
    return text_tokenizer(TokenizerFile(path=path, content=path.read_bytes(), piece_ids=encoder.ids), tokens)
