"""Text and labelled tables to the binary files that fairseq trains on."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder, best_fitting_int_dtype

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, read_lines, silent
from focus_plugin.vocabulary.encoding import batches
from focus_plugin.vocabulary.files import DICTIONARY, vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import END, MASK, UNKNOWN, Vocabulary

INPUT, LABEL = "input0", "label"
_NAMES = "names.txt"  # in LABEL: apart from its dictionary, in which a label could not be called <s>
_SPECIALS = 4  # <s> <pad> </s> <unk>, which fairseq puts first into every dictionary


@dataclass(frozen=True)
class TextCounts:
    """What a prepared text holds. lines: not empty ones. tokens: without the ``</s>`` of each line. unknown: how
    many of the tokens are ``<unk>``."""

    lines: int
    tokens: int
    unknown: int


@dataclass(frozen=True)
class TableCounts:
    """What prepared tables hold. labels: sorted, in the order of the classes. truncated: rows cut to fit."""

    labels: tuple[str, ...]
    train_rows: int
    valid_rows: int
    truncated: int


@dataclass(frozen=True)
class _Encoder:
    """Text to the ids of a fairseq dictionary; ids: of every id of the tokenizer."""

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    ids: np.ndarray

    @classmethod
    def load(cls, directory: Path) -> "_Encoder":
        dictionary, tokenizer_file = vocabulary_files(directory)
        tokenizer, vocabulary = load_tokenizer(tokenizer_file), read_dictionary(dictionary)
        return cls(tokenizer, vocabulary, piece_ids(tokenizer, vocabulary))

    def __call__(self, texts: list[str]) -> Iterator[np.ndarray]:
        for pieces in self.tokenizer.ids(texts):
            yield self.ids[np.array(pieces, dtype=np.int64)]

    @property
    def end(self) -> int:
        """The id of ``</s>``."""
        return self.vocabulary.ids[END]

    @property
    def dictionary_size(self) -> int:
        """Tokens of the dictionary as fairseq-preprocess counts them to choose how wide an id is stored."""
        return len(self.vocabulary) - (self.vocabulary.tokens[-1] == MASK)


def prepare_masked_lm(
    vocabulary: Path, train: Path, valid: Path, output: Path, progress: Progress = silent
) -> tuple[TextCounts, TextCounts]:
    """Encode two texts, a sample a line, into ``train`` and ``valid`` of a masked-LM data directory.

    ``vocabulary`` is a directory with ``dict.txt`` and the tokenizer's file. The files are those that
    fairseq-preprocess makes from the same text, but for empty lines, which are left out. Memory grows with the
    number of lines only. Raises FocusError for a text without words.
    """
    encoder = _Encoder.load(vocabulary)
    shutil.copyfile(vocabulary / DICTIONARY, output / DICTIONARY)
    counts = [
        _write_text(encoder, text, output / name, progress) for text, name in ((train, "train"), (valid, "valid"))
    ]
    return counts[0], counts[1]


def _write_text(encoder: _Encoder, text: Path, output: Path, progress: Progress) -> TextCounts:
    unknown_id = encoder.vocabulary.ids[UNKNOWN]
    lines = tokens = unknown = 0
    with _dataset(output, encoder.dictionary_size) as dataset:
        for batch in batches(read_lines(text, progress)):
            for ids in encoder(batch):
                if len(ids):
                    _add(dataset, ids, encoder.end)
                    lines += 1
                    tokens += len(ids)
                    unknown += int((ids == unknown_id).sum())
    if not lines:
        raise FocusError(f"{text}: the text is empty; it needs at least one line with words.")
    return TextCounts(lines, tokens, unknown)


def prepare_classification(
    vocabulary: Path,
    train: Path,
    valid: Path,
    output: Path,
    *,
    max_positions: int,
    label_column: str = "label",
    text_column: str = "text",
    truncate: bool = False,
    progress: Progress = silent,
) -> TableCounts:
    """Encode two tables into the data directory of fairseq's task ``sentence_prediction``.

    The tables are tab-separated with a header, their cells taken as they are. ``truncate`` cuts texts of more
    than ``max_positions`` tokens, ``<s>`` and ``</s>`` included. Raises FocusError, with file and line, for a
    table that is empty or malformed, a text that is empty or too long, and a label unknown from training.
    """
    encoder = _Encoder.load(vocabulary)
    for name in (INPUT, LABEL):
        (output / name).mkdir()
    shutil.copyfile(vocabulary / DICTIONARY, output / INPUT / DICTIONARY)
    tables = {"train": Table(train, label_column, text_column), "valid": Table(valid, label_column, text_column)}
    rows, cut = {}, 0
    for split, table in tables.items():
        rows[split], shortened = _write_inputs(
            encoder, table, output / INPUT / split, max_positions - 2, truncate, progress
        )
        cut += shortened
    counts = Counter(label for _, label in rows["train"])
    labels = tuple(sorted(counts))
    if len(labels) < 2:
        raise FocusError(f"{train}: every row has the label {labels[0]!r}; a classifier needs at least two.")
    for line, label in rows["valid"]:
        if label not in counts:
            raise FocusError(
                f"{valid}, line {line}: the label {label!r} is not in {train}, which has {_listed(labels)}."
            )
    classes = "".join(f"{i} {counts[label]}\n" for i, label in enumerate(labels))
    (output / LABEL / DICTIONARY).write_text(classes, encoding="utf-8")
    (output / LABEL / _NAMES).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    ids = {label: np.array([_SPECIALS + i]) for i, label in enumerate(labels)}
    for split, labelled in rows.items():
        with _dataset(output / LABEL / split, _SPECIALS + len(labels)) as dataset:
            for _, label in labelled:
                _add(dataset, ids[label], encoder.end)
    return TableCounts(labels, len(rows["train"]), len(rows["valid"]), cut)


def read_labels(data: Path) -> tuple[str, ...]:
    """The labels of a prepared classification directory, in the order of the classes."""
    return tuple(read_lines(data / LABEL / _NAMES))


def count_rows(data: Path) -> int:
    """The number of training texts in a prepared classification directory."""
    return len(MMapIndexedDataset(str(data / LABEL / "train")))


@dataclass(frozen=True)
class Table:
    """A tab-separated table with a header that names two columns; its cells are taken as they are."""

    path: Path
    label_column: str
    text_column: str

    def rows(self, progress: Progress = silent) -> Iterator[tuple[int, str, str]]:
        """Line number, label and text of every row; blank lines are passed over.

        Raises FocusError, with file and line, for a missing column, a row of another width, a label that is empty or
        has a line break in it, no rows.
        """
        lines = read_lines(self.path, progress)
        header = next(lines, "").split("\t")
        if missing := [name for name in (self.label_column, self.text_column) if name not in header]:
            raise FocusError(
                f"{self.path}, line 1: the header has no column {missing[0]!r}; it must name tab-separated columns, "
                f"among them {self.label_column!r} and {self.text_column!r}, and has {_listed(header)}."
            )
        label_at, text_at = header.index(self.label_column), header.index(self.text_column)
        empty = True
        for number, line in enumerate(lines, 2):
            if line:
                empty = False
                cells = line.split("\t")
                if len(cells) != len(header):
                    raise FocusError(
                        f"{self.path}, line {number}: {len(cells)} columns, but the header has {len(header)}."
                    )
                label = cells[label_at].strip()
                if not label:
                    raise FocusError(f"{self.path}, line {number}: the column {self.label_column!r} is empty.")
                if label.splitlines() != [label]:
                    raise FocusError(f"{self.path}, line {number}: the label {label!r} has a line break in it.")
                yield number, label, cells[text_at]
        if empty:
            raise FocusError(f"{self.path}: the table has a header but no rows.")


def _write_inputs(
    encoder: _Encoder, table: Table, output: Path, limit: int, truncate: bool, progress: Progress
) -> tuple[list[tuple[int, str]], int]:
    """Write the texts of ``table`` as ids; return line number and label of every row, and how many were cut."""
    labels, cut = [], 0
    with _dataset(output, encoder.dictionary_size) as dataset:
        for batch in batches(table.rows(progress), lambda row: len(row[2])):
            for (line, label, _), ids in zip(batch, encoder([text for _, _, text in batch]), strict=True):
                if not len(ids):
                    raise FocusError(f"{table.path}, line {line}: the column {table.text_column!r} is empty.")
                if len(ids) > limit and not truncate:
                    raise FocusError(
                        f"{table.path}, line {line}: the text has {len(ids) + 2} tokens, <s> and </s> included, and "
                        f"the model reads {limit + 2}; shorten it, or have such texts cut with --truncate."
                    )
                cut += len(ids) > limit
                _add(dataset, ids[:limit], encoder.end)
                labels.append((line, label))
    return labels, cut


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


@contextmanager
def _dataset(path: Path, dictionary_size: int) -> Iterator[MMapIndexedDatasetBuilder]:
    """fairseq's writer of ``path.bin``; ``path.idx`` is written at the end of the block."""
    builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=best_fitting_int_dtype(dictionary_size))
    yield builder
    builder.finalize(f"{path}.idx")


def _add(dataset: MMapIndexedDatasetBuilder, ids: np.ndarray, end: int) -> None:
    dataset.add_item(torch.from_numpy(np.append(ids, end)))
