"""Samples of the same text in source and in target tokens, with the spans that both tokenizers cut at their ends."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from focus_plugin.learning.spans import span_edges
from focus_plugin.mixing.declaration import Given
from focus_plugin.vocabulary.tokenizers import piece_ids
from focus_plugin.vocabulary.vocabulary import BEGIN, END, PAD, Vocabulary

NOWHERE = -1  # the span of <s> and of padding


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Token ids and the span that each is in, counted from 0; shapes (tokens,), or (samples, length) with padding."""

    ids: Tensor
    spans: Tensor


def paired_samples(given: Given, lines: Iterable[list[str]], length: int, budget: int) -> tuple[Cut, Cut]:
    """Samples of at most ``length`` target tokens in source and in target tokens, with ``budget`` of both in all.

    The same sample of both has the same spans. Each sample begins with ``<s>``. Samples end where a span ends, and also
    if the source tokens are as many as the encoder can read.
    """
    assert given.model is not None
    limits = given.model.config.max_positions - 1, min(length, given.model.config.max_positions) - 1
    old: list[Cut] = []
    new: list[Cut] = []
    tokens = 0
    for pair in _samples(_spans(given, lines), limits):
        for samples, cut in zip((old, new), pair, strict=True):
            samples.append(cut)
            tokens += len(cut.ids) + 1
        if tokens >= budget:
            break
    return _padded(old, given.source), _padded(new, given.target)


def span_sums(values: Tensor, spans: Tensor) -> Tensor:
    """The sums over the tokens of each span; (samples, spans of the longest sample, channels).

    ``values``: (samples, length, channels). ``spans``: (samples, length), see :class:`Cut`.
    """
    count = int(spans.max()) + 1
    places = torch.where(spans == NOWHERE, count, spans)[:, :, None].expand_as(values)
    return values.new_zeros(len(values), count + 1, values.shape[2]).scatter_add(1, places, values)[:, :count]


def span_tokens(spans: Tensor, counted: Tensor) -> Tensor:
    """How many of the tokens ``counted``, bool, each span has; (samples, spans), float.

    ``spans``, ``counted``: (samples, length).
    """
    return span_sums(counted[:, :, None].float(), spans)[:, :, 0]


def _spans(given: Given, lines: Iterable[list[str]]) -> Iterator[tuple[list[int], list[int]]]:
    """The source and the target ids of each span. ``</s>`` after a line is a span."""
    source, target = given.source_tokenizer, given.target_tokenizer
    assert source is not None
    assert target is not None
    tables = piece_ids(source, given.source), piece_ids(target, given.target)
    for batch in lines:
        for cuts in zip(source.located(batch), target.located(batch), strict=True):
            if all(len(cut.ids) for cut in cuts):
                old, new = (table[cut.ids].tolist() for table, cut in zip(tables, cuts, strict=True))
                edges = zip(*map(pairwise, span_edges(cuts[0].ends, cuts[1].ends)), strict=True)
                for (begin, end), (first, last) in edges:
                    yield old[begin:end], new[first:last]
                yield [given.source.ids[END]], [given.target.ids[END]]


def _samples(spans: Iterable[tuple[list[int], list[int]]], limits: tuple[int, int]) -> Iterator[tuple[Cut, Cut]]:
    """Consecutive spans, as many as have no more tokens of both kinds than ``limits``; longer ones are left out."""
    held: list[tuple[list[int], list[int]]] = []
    sizes = [0, 0]
    for span in spans:
        if any(len(part) > limit for part, limit in zip(span, limits, strict=True)):
            continue
        if any(size + len(part) > limit for size, part, limit in zip(sizes, span, limits, strict=True)):
            yield _cuts(held)
            held, sizes = [], [0, 0]
        held.append(span)
        sizes = [size + len(part) for size, part in zip(sizes, span, strict=True)]
    if held:
        yield _cuts(held)


def _cuts(spans: list[tuple[list[int], list[int]]]) -> tuple[Cut, Cut]:
    old, new = (
        Cut(
            ids=torch.tensor([token for part in parts for token in part]),
            spans=torch.tensor([i for i, part in enumerate(parts) for _ in part]),
        )
        for parts in zip(*spans, strict=True)
    )
    return old, new


def _padded(cuts: list[Cut], vocabulary: Vocabulary) -> Cut:
    pad = torch.nn.functional.pad
    ids = [pad(cut.ids, (1, 0), value=vocabulary.ids[BEGIN]) for cut in cuts]
    spans = [pad(cut.spans, (1, 0), value=NOWHERE) for cut in cuts]
    return Cut(
        ids=pad_sequence(ids, batch_first=True, padding_value=vocabulary.ids[PAD]),
        spans=pad_sequence(spans, batch_first=True, padding_value=NOWHERE),
    )
