"""The text that a method reads by the model: lines drawn at random, and samples of token ids."""

import random
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from focus_plugin.masked_lm.masking import MASKED, REPLACED
from focus_plugin.mixing.declaration import Given
from focus_plugin.vocabulary.tokenizers import Tokenizer, piece_ids
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, Vocabulary

RUN = 16  # lines that stay together, since neighbouring lines are often of one document
ENCODED = 256  # runs of lines that are encoded at once
COUNTED = 1 << 20  # tokens of the text, or the budget if that is more
PREDICTED = 0.3  # share of the tokens; twice the usual one, since a short training sees few tokens


def drawn_lines(lines: Iterable[str], seed: int) -> Iterator[list[str]]:
    """All lines, in lists. Runs of consecutive lines come in random order."""
    held = list(lines)
    runs = [held[i : i + RUN] for i in range(0, len(held), RUN)]
    random.Random(seed).shuffle(runs)
    for start in range(0, len(runs), ENCODED):
        yield [line for run in runs[start : start + ENCODED] for line in run]


def drawn_text(given: Given) -> Iterator[list[str]]:
    """The drawn lines of ``given.text``, which must not be None."""
    assert given.text is not None
    return drawn_lines(given.text, given.seed)


def drawn_ids(given: Given) -> np.ndarray:
    """The target ids of the first tokens of the drawn text, as many as COUNTED says; shape (tokens,).

    ``given.options`` must be an instance of BudgetOptions.
    """
    assert given.target_tokenizer is not None
    count = max(COUNTED, given.options.budget)
    return token_ids(drawn_text(given), given.target_tokenizer, given.target, count)


def token_ids(lines: Iterable[list[str]], tokenizer: Tokenizer, vocabulary: Vocabulary, tokens: int) -> np.ndarray:
    """The ids of the first ``tokens`` tokens of the lines, with ``</s>`` after every line; shape (at most tokens,)."""
    table, end = piece_ids(tokenizer, vocabulary), vocabulary.ids[END]
    parts: list[np.ndarray] = [np.empty(0, np.int64)]
    count = 0
    for batch in lines:
        found = [np.append(table[ids], end) for ids in map(np.asarray, tokenizer.ids(batch)) if len(ids)]
        parts += found
        count += sum(map(len, found))
        if count >= tokens:
            break
    taken: np.ndarray = np.concatenate(parts)[:tokens].astype(np.int64)
    return taken


def text_samples(ids: np.ndarray, vocabulary: Vocabulary, length: int) -> Tensor:
    """Samples of running text, each ``<s>`` and the next ``length`` - 1 tokens; shape (samples, length).

    The rest of the text is left out, unless it is all.
    """
    length = min(length, len(ids) + 1)
    whole = torch.from_numpy(ids[: len(ids) // (length - 1) * (length - 1)]).view(-1, length - 1)
    return torch.nn.functional.pad(whole, (1, 0), value=vocabulary.ids[BEGIN])


def masked(original: Tensor, vocabulary: Vocabulary, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """What the encoder reads in place of token ids, and which tokens it predicts; both of the same shape.

    The rule is that of BERT, but PREDICTED tokens are predicted, and no special ones; see ``masked_lm/masking.py``.
    """
    special = torch.from_numpy(vocabulary.special)
    predicted = (torch.rand(original.shape, generator=draw) < PREDICTED) & ~special[original]
    kind = torch.rand(original.shape, generator=draw)
    ordinary = torch.nonzero(~special)[:, 0]
    replacements = ordinary[torch.randint(len(ordinary), original.shape, generator=draw)]
    read = original.masked_fill(predicted & (kind < MASKED), vocabulary.ids[MASK])
    return torch.where(predicted & (kind >= MASKED) & (kind < MASKED + REPLACED), replacements, read), predicted
