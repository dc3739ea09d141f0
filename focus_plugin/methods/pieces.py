"""New tokens as the mean of the source's pieces of their text (Gee et al., EMNLP 2022)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.mixing.declaration import Given, Method, Need
from focus_plugin.mixing.matching import MatchingOptions, overlapping
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix
    from torch import Tensor

    from focus_plugin.mixing.mixing import Mixing

BATCH = 4096  # tokens cut, or rows computed, at once
PARTS = {"mean": slice(None), "first": slice(1), "last": slice(-1, None)}


@dataclass(frozen=True, kw_only=True)
class PiecesOptions(MatchingOptions):
    """The options of the mean of pieces."""

    pieces: str = option(
        "mean", choices=tuple(PARTS), help="Make a row from the mean of its pieces, or from the first or last piece."
    )
    norm: str = option(
        "none",
        choices=("none", "source"),
        help="Leave the norm of each row as it is, or scale it to the mean norm of the source's rows.",
    )


def pieces(given: Given) -> "Mixing":
    """The mixing matrix of the mean of pieces.

    Overlapping tokens keep their rows. A new token's text is cut by the source's tokenizer, and its row is the mean of
    those pieces' rows. Tokens without text, such as bytes that are no whole character, and tokens of which the source
    has no piece are filled.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    from focus_plugin.mixing.mixing import mixing_of

    copied = overlapping(given)
    cuts: list[Sequence[int]] = [()] * len(given.target)
    for i, found in _cuts(given, np.flatnonzero((copied < 0) & ~given.target.special)):
        cuts[i] = found[PARTS[given.options.pieces]]
    lengths = np.array([len(found) for found in cuts])
    ids = np.array([i for found in cuts for i in found], dtype=np.int32)
    shares = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
    weights = csr_matrix((shares, ids, np.append(0, np.cumsum(lengths))), (len(cuts), len(given.source)))
    weights.sum_duplicates()
    if given.options.norm == "source":
        assert given.embedding is not None
        weights = _scaled(weights, given.embedding)
    return mixing_of(copied, weights, convex=given.options.norm == "none")


def _cuts(given: Given, new: "np.ndarray") -> Iterator[tuple[int, list[int]]]:
    """Each of the target ids ``new`` with the source ids of the pieces of its text."""
    from focus_plugin.vocabulary.forms import WORD_START, is_bytes
    from focus_plugin.vocabulary.tokenizers import piece_ids

    source, tokenizer = given.source, given.source_tokenizer
    assert tokenizer is not None
    table, by_form = piece_ids(tokenizer, source), {form: i for i, form in enumerate(source.forms)}
    first = tokenizer.ids(["a"])[0][:1]
    starts_word = any(
        source.forms[table[i]].startswith(WORD_START) for i in first
    )  # added by the tokenizer at the start of a text
    texts = [(i, form) for i in new if not is_bytes(form := given.target.forms[i])]

    def spelled(form: str) -> str:
        return ("" if starts_word else " ") + form.removeprefix(WORD_START).replace(WORD_START, " ")

    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        for (i, form), cut in zip(batch, tokenizer.ids([spelled(form) for _, form in batch]), strict=True):
            found = [int(table[j]) for j in cut]
            if found and not form.startswith(WORD_START):
                # The text was cut as the start of a word, but this token is not one: its first piece has no word start.
                inside = source.forms[found[0]].removeprefix(WORD_START)
                found[:1] = [by_form.get(inside, found[0])] if inside else []
            found = [j for j in found if not source.special[j]]
            yield i, found if any(source.forms[j] != WORD_START for j in found) else []
        given.progress(len(batch))


def _scaled(weights: "csr_matrix", embedding: "Tensor") -> "csr_matrix":
    """``weights`` with each row scaled so that the resulting embedding has the mean norm of the source's rows."""
    import numpy as np
    import torch
    from scipy.sparse import diags

    rows, norm = embedding.numpy(), torch.linalg.vector_norm(embedding, dim=1).mean().item()
    scales = np.ones(weights.shape[0])
    for start in range(0, len(scales), BATCH):
        made = np.linalg.norm(weights[start : start + BATCH] @ rows, axis=1)
        scales[start : start + BATCH] = np.divide(norm, made, out=np.ones_like(made), where=made > 0)
    return (diags(scales) @ weights).tocsr().astype(np.float32)


METHOD = Method(
    name="pieces",
    summary="New tokens are the mean of the source's pieces of their text.",
    paper="Gee et al., Fast Vocabulary Transfer, EMNLP 2022, https://aclanthology.org/2022.emnlp-industry.41",
    make=pieces,
    options=PiecesOptions,
    needs=(Need.SOURCE_TOKENIZER, Need.EMBEDDING),
)
