"""New rows predicted from what the source encoder computes where their tokens occur.

The row of every overlapping token is known. So a ridge regression can learn from them how rows follow from features
that new tokens have, too: the head's state where the token is masked, a middle layer's states where it is read in
source tokens, the mean of the rows of these, its auxiliary embedding, its FOCUS row and its frequency. No feature of an
overlapping token uses its own row. The regression predicts the difference to the FOCUS row. This is scaled down for
rare tokens by as much as is best for overlapping tokens of that frequency that the regression was not fitted to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.learning.options import BudgetOptions
from focus_plugin.mixing.declaration import Given, Method, Need
from focus_plugin.mixing.matching import overlapping

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from focus_plugin.learning.contexts import Contexts
    from focus_plugin.mixing.rows import Rows

TEXT = 1 << 20  # tokens of the text that are counted, at most
STATES = 4  # a mean of so many states is moved halfway to that of all tokens
BANDS = 5  # of frequency, each with the same number of overlapping tokens
FEWEST = 50  # overlapping tokens


@dataclass(frozen=True, kw_only=True)
class RegressionOptions(BudgetOptions):
    """The options of the regression."""


def regression(given: Given) -> "Rows":
    """The rows that the regression predicts for new tokens. Raises FocusError if too few tokens overlap."""
    import numpy as np
    import torch

    from focus_plugin.errors import FocusError
    from focus_plugin.learning.contexts import contexts, divisions
    from focus_plugin.learning.held_out import focus_rows, folds_of
    from focus_plugin.learning.ridge import ridge
    from focus_plugin.learning.text import drawn_lines, token_ids
    from focus_plugin.mixing.rows import Rows

    assert given.text is not None
    assert given.target_tokenizer is not None
    assert given.model is not None
    copied, width = overlapping(given), given.model.config.row_length
    known = np.flatnonzero((copied >= 0) & ~given.target.special)
    if len(known) < FEWEST:
        raise FocusError(
            f"Only {len(known)} tokens are in both vocabularies, and --method regression learns from them; it needs "
            f"at least {FEWEST}. Use --method focus or newrows."
        )
    ids = token_ids(drawn_lines(given.text, given.seed), given.target_tokenizer, given.target, TEXT)
    counts = np.bincount(ids, minlength=len(given.target))
    divided, folds = divisions(given), folds_of(given, copied)
    seen = contexts(given, drawn_lines(given.text, given.seed), divided, given.options.budget)
    base = focus_rows(given, copied, folds)
    parts = [*_features(given, seen, divided, counts), base[:, :width]]
    features = torch.cat([part.double() for part in parts], 1).to(given.device)
    wanted = torch.cat(_source_rows(given), 1)[copied[known]] - base[known]
    places, of_known = torch.from_numpy(known), torch.from_numpy(folds[known])
    fit = ridge(features, places, wanted.double().to(given.device), of_known)
    scale = frequency_scales(fit.held_out.cpu(), wanted.double(), counts[known], counts)
    rows = (base + scale[:, None] * fit.predicted.cpu()).float()
    new = np.flatnonzero((copied < 0) & ~given.target.special)
    made = torch.split(rows[new], width, 1)
    return Rows(copied=copied, ids=new, embedding=made[0], output_embedding=made[1] if len(made) > 1 else None)


def _source_rows(given: Given) -> "list[Tensor]":
    """The source's input embedding and, if it is not tied, its output embedding."""
    from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING

    assert given.model is not None
    tensors = given.model.tensors
    return [tensors[EMBEDDING], *([tensors[OUTPUT_EMBEDDING]] if given.model.config.untied else [])]


def _features(given: Given, seen: "Contexts", divided: list[list[int]], counts: "np.ndarray") -> "Iterator[Tensor]":
    """The features besides the FOCUS rows, each (target, any)."""
    import torch

    assert given.vectors is not None
    assert given.embedding is not None
    yield shrunk_means(seen.masked, seen.masks)
    yield shrunk_means(seen.read, seen.reads)
    rows, mean = given.embedding, given.embedding.mean(0)
    yield torch.stack([rows[pieces].mean(0) if pieces else mean for pieces in divided])
    yield torch.nn.functional.normalize(torch.from_numpy(given.vectors.vectors))
    yield torch.from_numpy(counts)[:, None].log1p()


def shrunk_means(sums: "Tensor", counts: "Tensor") -> "Tensor":
    """The means of states, with the mean of all subtracted and moved to zero where there are few; (target, width).

    ``sums``: (target, width). ``counts``: (target,), the number of states in each sum.
    """
    mean = sums.sum(0) / counts.sum().clamp(min=1)
    return (sums - counts[:, None] * mean) / (counts + STATES)[:, None]


def frequency_scales(predicted: "Tensor", wanted: "Tensor", known: "np.ndarray", counts: "np.ndarray") -> "Tensor":
    """By how much to multiply the prediction for each token, between 0 and 1; (target,), float64.

    ``predicted``, ``wanted``: (known, width), for tokens that the regression was not fitted to. Tokens are divided into
    BANDS by their frequency, and in each the factor is that with the least squared error. ``known``: (known,), counts
    of these tokens in the text. ``counts``: (target,), of all tokens.
    """
    import numpy as np
    import torch

    edges = np.unique(np.quantile(known, np.arange(1, BANDS) / BANDS))
    band_of_known, band = (torch.from_numpy(np.searchsorted(edges, part, side="right")) for part in (known, counts))
    products, squares = (
        torch.zeros(len(edges) + 1, dtype=predicted.dtype).index_add_(0, band_of_known, (predicted * other).sum(1))
        for other in (wanted, predicted)
    )
    return (products / squares.clamp(min=torch.finfo(predicted.dtype).tiny)).clamp(0, 1)[band]


METHOD = Method(
    name="regression",
    summary="New tokens by a ridge regression from what the source encoder computes where they occur.",
    make=regression,
    options=RegressionOptions,
    needs=(
        Need.MODEL,
        Need.EMBEDDING,
        Need.VECTORS,
        Need.SOURCE_TOKENIZER,
        Need.TARGET_TOKENIZER,
        Need.TEXT,
    ),
)
