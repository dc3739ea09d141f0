"""A published tokenizer as target vocabulary."""

from pathlib import Path

from focus_plugin.files import Progress, existing_file, silent
from focus_plugin.vocabulary.encoding import CorpusCounts, count_pieces
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE, TOKENIZER_JSON, write_dictionary
from focus_plugin.vocabulary.readers import load_sentencepiece, load_tokenizer_json, read_json, read_vocabulary
from focus_plugin.vocabulary.tokenizers import load_tokenizer
from focus_plugin.vocabulary.unigram import sentencepiece_model


def import_vocabulary(corpus: Path, tokenizer: Path, output: Path, progress: Progress = silent) -> CorpusCounts:
    """Write a SentencePiece model or ``tokenizer.json`` with its ``dict.txt`` into the directory ``output``.

    A SentencePiece model is taken as it is, a Unigram ``tokenizer.json`` becomes one if it can (see
    ``sentencepiece_model``), and any other is taken as ``tokenizer.json``. The dictionary's counts are those of the
    corpus. Raises FocusError for an empty corpus, a file that is no tokenizer, and a token that no dictionary can hold.
    """
    copy = output / _write_tokenizer(tokenizer, output)
    counts = count_pieces(corpus, loaded := load_tokenizer(copy), progress)
    count_of = dict(zip(loaded.tokens, counts.pieces, strict=True))
    vocabulary = read_vocabulary(copy)
    text = (token for token, special in zip(vocabulary.tokens, vocabulary.special, strict=True) if not special)
    write_dictionary(output / DICTIONARY, ((token, count_of[token]) for token in text), tokenizer)
    return counts


def _write_tokenizer(tokenizer: Path, output: Path) -> str:
    """Write the tokenizer under the name that says what it is, which is returned."""
    name, content = SENTENCEPIECE, existing_file(tokenizer).read_bytes()
    if tokenizer.suffix == ".json":
        load_tokenizer_json(tokenizer)  # tells what is wrong with it
        model = sentencepiece_model(read_json(tokenizer))
        name, content = (SENTENCEPIECE, model) if model else (TOKENIZER_JSON, content)
    else:
        load_sentencepiece(tokenizer)  # likewise
    (output / name).write_bytes(content)
    return name
