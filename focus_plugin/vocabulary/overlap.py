"""The overlap of two vocabularies: the tokens that both have."""

from dataclasses import dataclass

import numpy as np

from focus_plugin.vocabulary.forms import fuzzy_form, is_symbol
from focus_plugin.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Matching:
    """Which tokens overlap, besides those with the same canonical form.

    symbols: numbers, punctuation and white space also overlap if their fuzzy forms are equal. fuzzy: all tokens also
    overlap if their fuzzy forms are equal, that is, case and word starts are ignored.
    """

    symbols: bool = False
    fuzzy: bool = False


EXACT_MATCHING = Matching()


def overlap(source: Vocabulary, target: Vocabulary, matching: Matching = EXACT_MATCHING) -> np.ndarray:
    """For every target token, the id of the source token that it overlaps with, or -1; shape (target,), int64.

    See section 3.1 of the FOCUS paper. A source token with the same canonical form is preferred to one with the same
    fuzzy form. If several have the same canonical form, the last one is taken. If several have the same fuzzy form, the
    last one whose canonical form equals its fuzzy form is taken, else the first one. These rules are those of the
    authors' package. Unlike there, special tokens overlap only with special tokens.
    """
    text = [i for i, special in enumerate(source.special) if not special]
    exact = {source.forms[i]: i for i in text}
    fuzzy = _by_fuzzy_form(source, text) if matching.symbols or matching.fuzzy else {}
    found = np.full(len(target), -1, dtype=np.int64)
    for i, (token, form, special) in enumerate(zip(target.tokens, target.forms, target.special, strict=True)):
        if special:
            found[i] = source.ids.get(token, -1)
        elif form in exact:
            found[i] = exact[form]
        elif matching.fuzzy or (matching.symbols and is_symbol(form)):
            found[i] = fuzzy.get(fuzzy_form(form), -1)
    return found


def _by_fuzzy_form(source: Vocabulary, ids: list[int]) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for i in ids:
        form = source.forms[i]
        if (key := fuzzy_form(form)) == form:
            chosen[key] = i
        else:
            chosen.setdefault(key, i)
    return chosen
