"""New tokens drawn from the source tokens of the same script (Downey et al., MRL 2023).

The embeddings of a multilingual encoder form clusters, mostly by the script of the tokens and by whether a token starts
a word. So a new token gets a random row, but from the normal distribution of the source tokens of its own script and
word position, not from that of the whole matrix. Overlapping tokens keep their rows. In the paper this is
re-initialization by script, position and identity. It needs no text and no vectors.

The script of a token is that of most of its characters, the first one if several have most. Special tokens are left
out; the authors' software counts them among the tokens of a script, and draws new rows for them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.mixing.declaration import Given, Method, Need
from focus_plugin.mixing.matching import MatchingOptions, overlapping

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor

    from focus_plugin.mixing.rows import Rows
    from focus_plugin.vocabulary.vocabulary import Vocabulary

ROWS_AT_ONCE = 4096
SMALLEST_CLASS = 2  # tokens of a class, without which it has no standard deviation


@dataclass(frozen=True)
class Classes:
    """The class of each token of two vocabularies: its script, and whether it starts a word.

    count: the number of classes. source: (source,), int64, the class of each source token, -1 of a special token and
    where fewer than SMALLEST_CLASS source tokens are alike. target: (target,), int64, likewise; -1 also for a token
    whose class the source lacks.
    """

    count: int
    source: "np.ndarray"
    target: "np.ndarray"


def scripts(given: Given) -> "Rows":
    """Rows of new tokens, drawn from the normal distribution of the source tokens of the same class.

    The bias of such a token is the mean of its class. Tokens of a class with fewer than two source tokens are filled.
    """
    import numpy as np
    import torch

    from focus_plugin.mixing.rows import Rows

    assert given.embedding is not None
    assert given.bias is not None
    copied, classes = overlapping(given), classified(given.source, given.target)
    new = np.flatnonzero((copied < 0) & (classes.target >= 0))
    generator = torch.Generator().manual_seed(given.seed)
    output = given.output_embedding
    mean, _ = moments(given.bias[:, None], classes)
    rows = Rows(
        copied=copied,
        ids=new,
        embedding=_drawn(given.embedding, classes, new, generator),
        output_embedding=None if output is None else _drawn(output, classes, new, generator),
        bias=mean[classes.target[new], 0],
    )
    given.progress(len(new))
    return rows


def classified(source: "Vocabulary", target: "Vocabulary") -> Classes:
    """The class of each token of the two vocabularies."""
    import numpy as np

    numbers: dict[tuple[str, bool], int] = {}
    of_source, of_target = (
        np.array([numbers.setdefault(found, len(numbers)) if found else -1 for found in _found(vocabulary)], np.int64)
        for vocabulary in (source, target)
    )
    sizes = np.bincount(of_source[of_source >= 0], minlength=len(numbers))
    for classes in (of_source, of_target):
        classes[(classes >= 0) & (sizes[classes] < SMALLEST_CLASS)] = -1
    return Classes(len(numbers), of_source, of_target)


def _found(vocabulary: "Vocabulary") -> "list[tuple[str, bool] | None]":
    from focus_plugin.vocabulary.forms import WORD_START
    from focus_plugin.vocabulary.scripts import main_script

    tokens = zip(vocabulary.forms, vocabulary.special, strict=True)
    return [None if special else (main_script(form), form.startswith(WORD_START)) for form, special in tokens]


def moments(matrix: "Tensor", classes: Classes) -> "tuple[Tensor, Tensor]":
    """The mean and the standard deviation of the rows of each class; ``matrix``: (source, width).

    Both are (classes, width), float32. The variance is divided by the number of rows minus one, as in the authors'
    software. The rows of classes that the source lacks are zero.
    """
    import numpy as np
    import torch

    rows = np.flatnonzero(classes.source >= 0)
    number = torch.from_numpy(classes.source[rows])
    sizes = torch.bincount(number, minlength=classes.count)[:, None]
    mean, squares = (torch.zeros(classes.count, matrix.shape[1], dtype=torch.float64) for _ in range(2))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        mean.index_add_(0, number[start : start + ROWS_AT_ONCE], matrix[rows[start : start + ROWS_AT_ONCE]].double())
    mean /= sizes.clamp(min=1)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        of_row = number[start : start + ROWS_AT_ONCE]
        squares.index_add_(0, of_row, (matrix[rows[start : start + ROWS_AT_ONCE]] - mean[of_row]).square())
    return mean.float(), (squares / (sizes - 1).clamp(min=1)).sqrt().float()


def _drawn(matrix: "Tensor", classes: Classes, new: "np.ndarray", generator: "Generator") -> "Tensor":
    """A row for each of the target ids ``new``, drawn from the distribution of its class; (new, width)."""
    import torch

    mean, deviation = moments(matrix, classes)
    rows = matrix.new_empty(len(new), matrix.shape[1])
    for start in range(0, len(new), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        of_row = classes.target[new[start : start + ROWS_AT_ONCE]]
        part.copy_(torch.randn(part.shape, generator=generator) * deviation[of_row] + mean[of_row])
    return rows


METHOD = Method(
    name="scripts",
    summary="New tokens are drawn from the distribution of the source tokens of the same script and word position.",
    paper="Downey et al., Embedding Structure Matters, MRL 2023, https://arxiv.org/abs/2309.04679",
    make=scripts,
    options=MatchingOptions,
    needs=(Need.EMBEDDING, Need.OUTPUT_EMBEDDING, Need.BIAS),
    packages=lambda options: ("regex",),
)
