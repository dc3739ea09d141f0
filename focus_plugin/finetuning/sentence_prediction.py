"""Writes the data of fairseq's task ``sentence_prediction``: texts, and a class or a number for each."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from focus_plugin.binary_data import add_item, writing_dataset
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, Preparation
from focus_plugin.vocabulary.encoding import batches
from focus_plugin.vocabulary.files import DICTIONARY

INPUT, LABEL = "input0", "label"
_SPECIALS = 4  # <s> <pad> </s> <unk>, the first symbols of every fairseq dictionary


@dataclass(frozen=True)
class Written:
    """A split that was written. examples: in order, without their texts. truncated: number of texts that were cut."""

    examples: tuple[Example, ...]
    truncated: int


def write_texts(given: Preparation, split: str) -> Written:
    """Write the texts of a table as ids, and the dictionary beside them.

    Raises FocusError, with file and line, for an empty text, and for one that is longer than the model reads, unless
    such texts are cut.
    """
    folder, table = given.directory / INPUT, given.tables[split]
    folder.mkdir(exist_ok=True)
    shutil.copyfile(given.model / DICTIONARY, folder / DICTIONARY)
    limit, kept, cut = given.max_positions - 2, [], 0
    with writing_dataset(folder / split, given.encoder.dictionary_size) as dataset:
        for batch in batches(given.examples(table), lambda example: len(example.sample)):
            encoded = given.encoder([example.sample for example in batch])
            for example, ids in zip(batch, encoded, strict=True):
                if not len(ids):
                    raise FocusError(f"{table}, line {example.line}: the text is empty.")
                if len(ids) > limit and not given.options.truncate:
                    raise FocusError(
                        f"{table}, line {example.line}: the text has {len(ids) + 2} tokens, <s> and </s> included, and "
                        f"the model reads {limit + 2}; shorten it, or have such texts cut with --truncate."
                    )
                cut += len(ids) > limit
                add_item(dataset, ids[:limit], given.encoder.end)
                kept.append(Example(example.line, None, example.expected))
    return Written(tuple(kept), cut)


def write_classes(given: Preparation, split: str, classes: Sequence[int], counts: Sequence[int]) -> None:
    """Write the class of each text, and the dictionary of classes. ``counts``: training texts of each class."""
    folder = given.directory / LABEL
    folder.mkdir(exist_ok=True)
    (folder / DICTIONARY).write_text("".join(f"{i} {count}\n" for i, count in enumerate(counts)), encoding="utf-8")
    with writing_dataset(folder / split, _SPECIALS + len(counts)) as dataset:
        for number in classes:
            add_item(dataset, np.array([_SPECIALS + number]), given.encoder.end)


def write_numbers(given: Preparation, split: str, numbers: Iterable[float]) -> None:
    """Write the expected number of each text, for ``--regression-target``."""
    folder = given.directory / LABEL
    folder.mkdir(exist_ok=True)
    (folder / f"{split}.label").write_text("".join(f"{number!r}\n" for number in numbers), encoding="utf-8")
