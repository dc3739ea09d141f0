"""Moves the rows that a method made for a language's vocabulary into a vocabulary that extends the source's."""

from dataclasses import replace

import numpy as np

from focus_plugin.mixing.mixing import Mixing, selected
from focus_plugin.mixing.rows import Rows
from focus_plugin.vocabulary.vocabulary import Vocabulary


def extended(made: Mixing | Rows, source: Vocabulary, language: Vocabulary, target: Vocabulary) -> Mixing | Rows:
    """``made``, which turns ``source`` into ``language``, with each row moved to the id of its token in ``target``.

    ``target`` holds the tokens of ``source`` and ``language``. Every token of the source keeps its row. Since ``made``
    was computed for the language's vocabulary, only tokens of the language are anchors, as in the authors' package and
    in section 4.1 of the FOCUS paper.
    """
    rows = np.array([target.ids[token] for token in language.tokens])
    copied = np.full(len(target), -1, dtype=np.int64)
    copied[rows] = made.copied
    copied[[target.ids[token] for token in source.tokens]] = np.arange(len(source))
    if isinstance(made, Mixing):
        moved = (replace(block, rows=rows[block.rows]) for block in made.blocks)
        return replace(made, copied=copied, blocks=(selected(block, copied[block.rows] < 0) for block in moved))
    return _selected(replace(made, copied=copied, ids=rows[made.ids]))


def _selected(made: Rows) -> Rows:
    """``made`` without the learned rows of tokens that are copied."""
    kept = np.flatnonzero(made.copied[made.ids] < 0)
    output, bias = (None if part is None else part[kept] for part in (made.output_embedding, made.bias))
    return replace(made, ids=made.ids[kept], embedding=made.embedding[kept], output_embedding=output, bias=bias)
