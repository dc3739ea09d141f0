"""Encodes text into the binary files that fairseq's masked-LM task reads."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.binary_data import Encoder, add_item, writing_dataset
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.masked_lm.options import PARALLEL
from focus_plugin.parallel.text import Pairs
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import batches
from focus_plugin.vocabulary.files import DICTIONARY
from focus_plugin.vocabulary.vocabulary import UNKNOWN


@dataclass(frozen=True)
class TextCounts:
    """The size of a prepared text.

    lines: lines that are not empty. tokens: all tokens, without the ``</s>`` of each line. unknown: how many of the
    tokens are ``<unk>``.
    """

    lines: int
    tokens: int
    unknown: int


def prepare_masked_lm(
    vocabulary: Path, texts: Mapping[str, Text], output: Path, progress: Progress = silent
) -> dict[str, TextCounts]:
    """Encode texts into the masked-LM data directory ``output``, one item per line; return the size of each text.

    ``vocabulary``: a directory with ``dict.txt`` and the tokenizer's file. ``texts``: by split, such as "train". The
    files are the same as those of fairseq-preprocess for the same tokens. A blank line, which separates documents, is
    written as ``</s>`` alone. The memory needed depends on the number of lines only. ``progress`` is called with the
    number of bytes read since the last call. Raises FocusError if a text has no words.
    """
    encoder = Encoder.load(vocabulary)
    shutil.copyfile(vocabulary / DICTIONARY, output / DICTIONARY)
    return {split: _write_text(encoder, text, output / split, progress) for split, text in texts.items()}


def prepare_parallel(
    vocabulary: Path, pairs: Pairs, output: Path, progress: Progress = silent
) -> tuple[TextCounts, ...]:
    """Encode parallel lines into the data directory ``output``; return the size of both sides.

    ``progress`` is called with the number of lines done since the last call.
    """
    encoder = Encoder.load(vocabulary)
    sides = zip(PARALLEL, (pairs.source, pairs.target), strict=True)
    return tuple(_write_lines(encoder, _counted(lines, progress), output / name) for name, lines in sides)


def _counted(lines: Iterable[str], progress: Progress) -> Iterator[str]:
    """``lines``; ``progress`` is called with 1 for each."""
    for line in lines:
        yield line
        progress(1)


def _write_text(encoder: Encoder, text: Text, output: Path, progress: Progress) -> TextCounts:
    counts = _write_lines(encoder, text.lines(progress), output)
    if not counts.lines:
        raise FocusError(f"{text}: the text is empty; it needs at least one line with words.")
    return counts


def _write_lines(encoder: Encoder, texts: Iterable[str], output: Path) -> TextCounts:
    unknown_id = encoder.vocabulary.ids[UNKNOWN]
    lines = tokens = unknown = 0
    with writing_dataset(output, encoder.dictionary_size) as dataset:
        for batch in batches(texts):
            for ids in encoder(batch):
                add_item(dataset, ids, encoder.end)
                lines += bool(len(ids))
                tokens += len(ids)
                unknown += int((ids == unknown_id).sum())
    return TextCounts(lines, tokens, unknown)
