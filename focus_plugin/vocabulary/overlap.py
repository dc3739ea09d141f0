"""Which tokens two vocabularies have in common."""

from dataclasses import dataclass

import numpy as np

from focus_plugin.vocabulary.forms import fuzzy_form, is_symbol
from focus_plugin.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Matching:
    """What counts as the same token besides the same canonical form.

    symbols: numbers, punctuation and white space are compared by fuzzy form. fuzzy: all tokens are, that is without
    regard to case and word start.
    """

    symbols: bool = False
    fuzzy: bool = False


EXACT = Matching()


def overlap(source: Vocabulary, target: Vocabulary, matching: Matching = EXACT) -> np.ndarray:
    """For every target token the id of the source token that it is the same as, or -1.

    Shape (target,), int64. Section 3.1 of the FOCUS paper. A token of the same canonical form comes before one of
    the same fuzzy form; of several with one canonical form the last is taken, and of several with one fuzzy form
    the last that is written so, else the first, as in the authors' package. Special tokens match special tokens
    only, which there are text like any other.
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
