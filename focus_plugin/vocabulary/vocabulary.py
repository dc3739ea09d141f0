"""A vocabulary: an ordered list of tokens with their canonical forms."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from focus_plugin.errors import FocusError

BEGIN, PAD, END, UNKNOWN, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
SPECIALS = (BEGIN, PAD, END, UNKNOWN, MASK)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids, with their canonical forms.

    tokens: all different, named as in a ``dict.txt``: as the tokenizer writes them, but special tokens have fairseq's
    names, and white space is written as in ``files.py``. forms: the canonical form of each token (see ``forms.py``);
    several tokens can have the same one.
    """

    tokens: tuple[str, ...]
    forms: tuple[str, ...]

    @classmethod
    def of(cls, tokens: Sequence[str], forms: Sequence[str] | None = None) -> "Vocabulary":
        """A vocabulary of ``tokens``; by default each token is its own canonical form.

        Raises FocusError for a token that occurs twice.
        """
        vocabulary = cls(tuple(tokens), tuple(tokens if forms is None else forms))
        if len(vocabulary.ids) != len(tokens):
            twice = next(token for i, token in enumerate(tokens) if vocabulary.ids[token] != i)
            raise FocusError(f"The token {twice!r} occurs twice in the vocabulary.")
        return vocabulary

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each token."""
        return {token: i for i, token in enumerate(self.tokens)}

    @cached_property
    def special(self) -> np.ndarray:
        """Shape (tokens,), bool: which tokens are ``<s> <pad> </s> <unk> <mask>``."""
        return np.array([token in SPECIALS for token in self.tokens])
