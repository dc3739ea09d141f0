"""New tokens as means of source tokens that their text consists of.

``mean`` cuts the text of a token by the source's tokenizer and takes the mean of the pieces (Fast Vocabulary Transfer,
Gee et al., EMNLP 2022). ``first`` and ``last`` take one of these pieces alone.

``vipi`` does not use the tokenizer (Vocabulary Initialization with Partial Inheritance, Mosin et al., Artificial
Intelligence 2023). Of all ways to divide the text into source tokens it takes those with the fewest tokens, the mean of
each, and the mean over them. So a source token weighs as much as the share of these ways that contain it. The authors'
software misses the ways that end with a token of one character.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
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

_BATCH = 4096  # tokens cut, or rows computed, at once
VIPI = "vipi"
PARTS = {"mean": slice(None), "first": slice(1), "last": slice(-1, None)}

Shares = Mapping[int, float]  # of source tokens in a new token


@dataclass(frozen=True, kw_only=True)
class PiecesOptions(MatchingOptions):
    """The options of the mean of pieces."""

    pieces: str = option(
        "mean",
        choices=(*PARTS, VIPI),
        help="Make a row from the mean of its pieces, from the first or last piece, or from the mean over all "
        "divisions of its text into the fewest source tokens (vipi).",
    )
    norm: str = option(
        "none",
        choices=("none", "source"),
        help="Leave the norm of each row as it is, or scale it to the mean norm of the source's rows.",
    )


def pieces(given: Given) -> "Mixing":
    """The mixing matrix of the mean of pieces.

    Overlapping tokens keep their rows. Tokens without text, such as bytes that are no whole character, and tokens of
    which the source has no piece are filled.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    from focus_plugin.mixing.mixing import mixing_of

    copied = overlapping(given)
    shares: list[Shares] = [{}] * len(given.target)
    new = np.flatnonzero((copied < 0) & ~given.target.special)
    for i, found in _divided(given, new) if given.options.pieces == VIPI else _cut_shares(given, new):
        shares[i] = found
    ids = np.array([j for found in shares for j in found], dtype=np.int32)
    values = np.array([share for found in shares for share in found.values()], dtype=np.float32)
    offsets = np.append(0, np.cumsum([len(found) for found in shares]))
    weights = csr_matrix((values, ids, offsets), (len(shares), len(given.source)))
    weights.sort_indices()
    if given.options.norm == "source":
        assert given.embedding is not None
        weights = _scaled(weights, given.embedding)
    return mixing_of(copied, weights, convex=given.options.norm == "none")


def _divided(given: Given, new: "np.ndarray") -> Iterator[tuple[int, Shares]]:
    """Each of the target ids ``new`` with the shares of source tokens in it, as in VIPI."""
    from focus_plugin.vocabulary.forms import WORD_START, is_bytes

    source = given.source
    tokens = zip(source.forms, source.special, strict=True)
    by_form = {form: i for i, (form, special) in enumerate(tokens) if form and not special and not is_bytes(form)}
    longest = max(map(len, by_form), default=0)
    for i in new:
        form = given.target.forms[i]
        if form.strip(WORD_START) and not is_bytes(form):
            yield i, shortest_divisions(form, by_form, longest)
        given.progress(1)


def shortest_divisions(text: str, tokens: Mapping[str, int], longest: int) -> Shares:
    """The mean share of each token over all divisions of ``text`` into as few ``tokens`` as possible; empty if none.

    ``longest``: the length of the longest token. The divisions are counted, not listed: those with a token between two
    places are the divisions before it times those behind it.
    """
    spans = [
        (start, end, token)
        for start in range(len(text))
        for end in range(start + 1, min(start + longest, len(text)) + 1)
        if (token := tokens.get(text[start:end])) is not None
    ]
    before = _fewest([(start, end) for start, end, _ in sorted(spans, key=lambda span: span[1])], 0)
    behind = _fewest([(end, start) for start, end, _ in reversed(spans)], len(text))
    if len(text) not in before:
        return {}
    fewest, divisions = before[len(text)]
    shares: dict[int, float] = defaultdict(float)
    for start, end, token in spans:
        if start in before and end in behind and before[start][0] + 1 + behind[end][0] == fewest:
            shares[token] += before[start][1] * behind[end][1] / (divisions * fewest)
    return shares


def _fewest(steps: list[tuple[int, int]], origin: int) -> dict[int, tuple[int, int]]:
    """The fewest steps from ``origin`` to each place that can be reached, and in how many ways.

    ``steps``: pairs of places, ordered so that all steps to a place come before those from it.
    """
    found = {origin: (0, 1)}
    for begin, end in steps:
        if begin in found:
            (count, ways), (best, others) = found[begin], found.get(end, (len(steps) + 1, 0))
            if count + 1 < best:
                found[end] = (count + 1, ways)
            elif count + 1 == best:
                found[end] = (best, others + ways)
    return found


def _cut_shares(given: Given, new: "np.ndarray") -> Iterator[tuple[int, Shares]]:
    """Each of the target ids ``new`` with the shares of its pieces, or of its first or last piece."""
    for i, cut in _cuts(given, new):
        found = cut[PARTS[given.options.pieces]]
        yield i, {j: count / len(found) for j, count in Counter(found).items()}


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

    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
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
    for start in range(0, len(scales), _BATCH):
        made = np.linalg.norm(weights[start : start + _BATCH] @ rows, axis=1)
        scales[start : start + _BATCH] = np.divide(norm, made, out=np.ones_like(made), where=made > 0)
    return (diags(scales) @ weights).tocsr().astype(np.float32)


METHOD = Method(
    name="pieces",
    summary="New tokens are the mean of the source tokens that their text consists of.",
    paper="Gee et al., Fast Vocabulary Transfer, EMNLP 2022, https://aclanthology.org/2022.emnlp-industry.41",
    make=pieces,
    options=PiecesOptions,
    needs=(Need.SOURCE_TOKENIZER, Need.EMBEDDING),
)
