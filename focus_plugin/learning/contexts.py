"""What the source encoder computes for target tokens in text that is cut into its own tokens.

Text is cut by both tokenizers. The encoder reads it in source tokens, except that some target tokens are replaced by
one ``<mask>`` each. Its head states there are those with which the token's row will be multiplied. For other tokens,
the states of a middle layer are averaged over the source tokens that they consist of. A token that overlaps is divided
into smaller source tokens first, as new tokens are: otherwise its states would contain its own row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from focus_export.tokenizer import Pieces
from torch import Tensor

from focus_plugin.checkpoint.forward import head_states, layer_states
from focus_plugin.learning.spans import division, span_edges
from focus_plugin.learning.text import text_samples
from focus_plugin.learning.training import reduced_products
from focus_plugin.mixing.declaration import Given
from focus_plugin.transfer.calibration import SAMPLE_LENGTH, SAMPLES_AT_ONCE
from focus_plugin.vocabulary.forms import is_bytes
from focus_plugin.vocabulary.tokenizers import piece_ids
from focus_plugin.vocabulary.vocabulary import END, MASK

MASKED_SHARE = 0.3  # share of the target tokens
DIVIDED_SHARE = 0.5  # share of the overlapping tokens that are divided, where they are not masked
NO_TOKEN = -1


@dataclass(frozen=True, kw_only=True)
class Contexts:
    """The states of target tokens.

    states: (n, length of a row), the head's states at the n places where a token is masked. tokens: (n,), these tokens.
    read: (target, width), the sum of a middle layer's states over the places where a token is read. reads: (target,),
    how many states each of these sums has.
    """

    states: Tensor
    tokens: Tensor
    read: Tensor
    reads: Tensor


def divisions(given: Given) -> list[list[int]]:
    """For each target token the source ids of a division of its text into as few tokens as possible, but at least two.

    Without one, the id of the source token with this text; empty if there is none.
    """
    tokens = zip(given.source.forms, given.source.special, strict=True)
    by_form = {form: i for i, (form, special) in enumerate(tokens) if form and not special and not is_bytes(form)}
    longest = max(map(len, by_form), default=0)
    wholes = {form: [i] for form, i in by_form.items()}
    return [
        [] if special or is_bytes(form) else division(form, by_form, longest) or wholes.get(form, [])
        for form, special in zip(given.target.forms, given.target.special, strict=True)
    ]


@torch.no_grad()
def contexts(given: Given, lines: Iterable[list[str]], divided: list[list[int]], budget: int) -> Contexts:
    """The states of target tokens in the first ``budget`` source tokens of the text.

    ``divided``: see :func:`divisions`. ``given.progress`` is told of all target tokens.
    """
    assert given.model is not None
    config, draw = given.model.config, np.random.default_rng(given.seed)
    tensors = {name: tensor.to(given.device) for name, tensor in given.model.tensors.items()}
    ids, owners = _tokens(owned_lines(given, lines, divided, draw), budget)
    length = min(SAMPLE_LENGTH, config.max_positions)
    samples = text_samples(ids, given.source, length)
    owned = text_samples(owners, given.source, length)
    owned[:, 0] = NO_TOKEN
    batches = list(zip(*(torch.split(part, SAMPLES_AT_ONCE) for part in (samples, owned)), strict=True))
    reported = 0
    states, tokens = [torch.empty(0, config.row_length)], [torch.empty(0, dtype=torch.long)]
    sums, reads = torch.zeros(len(given.target), config.width), torch.zeros(len(given.target))
    with reduced_products():
        for i, (batch, owner) in enumerate(batches, 1):
            layers = list(layer_states(config, tensors, batch.to(given.device)))
            hidden, known = batch == given.source.ids[MASK], owner != NO_TOKEN
            states.append(head_states(tensors, layers[-1][hidden & known]).cpu())
            tokens.append(owner[hidden & known])
            of_read = owner[~hidden & known]
            sums.index_add_(0, of_read, layers[config.layers // 2][~hidden & known].cpu())
            reads.index_add_(0, of_read, torch.ones(len(of_read)))
            done = i * len(given.target) // len(batches)
            given.progress(done - reported)
            reported = done
    return Contexts(states=torch.cat(states), tokens=torch.cat(tokens), read=sums, reads=reads)


def _tokens(lines: Iterator[tuple[list[int], list[int]]], budget: int) -> tuple[np.ndarray, np.ndarray]:
    ids: list[int] = []
    owners: list[int] = []
    for read, owned in lines:
        ids += read
        owners += owned
        if len(ids) >= budget:
            break
    return np.array(ids[:budget], np.int64), np.array(owners[:budget], np.int64)


def owned_lines(
    given: Given, lines: Iterable[list[str]], divided: list[list[int]], draw: np.random.Generator
) -> Iterator[tuple[list[int], list[int]]]:
    """For each line the source ids that the encoder reads, and the target token that each belongs to, or NO_TOKEN."""
    assert given.source_tokenizer is not None
    assert given.target_tokenizer is not None
    old_ids, new_ids = piece_ids(given.source_tokenizer, given.source), piece_ids(given.target_tokenizer, given.target)
    end = given.source.ids[END]
    for batch in lines:
        cuts = zip(given.source_tokenizer.located(batch), given.target_tokenizer.located(batch), strict=True)
        for old, new in cuts:
            if len(old.ids) and len(new.ids):
                old, new = (
                    Pieces(table[cut.ids], cut.starts, cut.ends) for table, cut in ((old_ids, old), (new_ids, new))
                )
                ids, owners = _read_line(given, old, new, divided, draw)
                yield [*ids, end], [*owners, NO_TOKEN]


def _read_line(
    given: Given, old: Pieces, new: Pieces, divided: list[list[int]], draw: np.random.Generator
) -> tuple[list[int], list[int]]:
    mask = given.source.ids[MASK]
    masked = draw.random(len(new.ids)) < MASKED_SHARE
    taken = draw.random(len(new.ids)) < DIVIDED_SHARE
    kept = given.target.special[new.ids]
    chosen = set(new.ids[(masked | taken) & ~kept].tolist())
    old_ids, new_ids = old.ids.tolist(), new.ids.tolist()
    ids: list[int] = []
    owners: list[int] = []
    for (begin, end), (first, last) in zip(*map(pairwise, span_edges(old.ends, new.ends)), strict=True):
        pieces, tokens = old_ids[begin:end], new_ids[first:last]
        if len(tokens) > 1 and not masked[first:last].any():
            read = [(pieces, NO_TOKEN)]
        else:
            read = []
            for i, token in enumerate(tokens, first):
                own = pieces if len(tokens) == 1 else divided[token]
                if masked[i] and not kept[i]:
                    read.append(([mask], token))
                elif len(own) > 1:
                    read.append((own, token))
                elif token in chosen and len(divided[token]) > 1:
                    read.append((divided[token], token))
                else:
                    read.append((own, NO_TOKEN))
        for part, owner in read:
            ids += part
            owners += [owner] * len(part)
    return ids, owners
