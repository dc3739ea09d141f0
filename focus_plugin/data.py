"""Labelled tables to the binary files that fairseq's sentence prediction reads."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fairseq.data.indexed_dataset import MMapIndexedDataset

from focus_plugin.binary_data import Encoder, add_item, writing_dataset
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, read_lines, silent
from focus_plugin.vocabulary.encoding import batches
from focus_plugin.vocabulary.files import DICTIONARY

INPUT, LABEL = "input0", "label"
_NAMES = "names.txt"  # in LABEL: apart from its dictionary, in which a label could not be called <s>
_SPECIALS = 4  # <s> <pad> </s> <unk>, which fairseq puts first into every dictionary


@dataclass(frozen=True)
class TableCounts:
    """What prepared tables hold. labels: sorted, in the order of the classes. truncated: rows cut to fit."""

    labels: tuple[str, ...]
    train_rows: int
    valid_rows: int
    truncated: int


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
    encoder = Encoder.load(vocabulary)
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
        with writing_dataset(output / LABEL / split, _SPECIALS + len(labels)) as dataset:
            for _, label in labelled:
                add_item(dataset, ids[label], encoder.end)
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
    encoder: Encoder, table: Table, output: Path, limit: int, truncate: bool, progress: Progress
) -> tuple[list[tuple[int, str]], int]:
    """Write the texts of ``table`` as ids; return line number and label of every row, and how many were cut."""
    labels, cut = [], 0
    with writing_dataset(output, encoder.dictionary_size) as dataset:
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
                add_item(dataset, ids[:limit], encoder.end)
                labels.append((line, label))
    return labels, cut


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
