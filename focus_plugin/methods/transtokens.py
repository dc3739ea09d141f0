"""Trans-tokenization: new tokens as mixtures of those that translate them (Remy et al., COLM 2024, section 2).

A parallel text is cut into words on both sides, and its words are aligned. A token of the target language is then the
mean of the source's tokens that translate it, weighted by how often they do:

1. Of each pair of words that is aligned often enough, half of the count is spread over all pairs of their tokens, and
   half over the tokens one after the other: if the words have 2 and 3 tokens, the two are repeated to six each.
2. Numbers are matched with the first token of the same number in the source, and each token with its equal.
3. A token without any translation gets those of the tokens that begin with it and of the longest that it contains.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Given, Method, MethodFile, Need
from focus_plugin.mixing.matching import MatchingOptions, overlapping
from focus_plugin.options import option
from focus_plugin.vocabulary.forms import WORD_START

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from focus_plugin.mixing.mixing import Mixing
    from focus_plugin.parallel.counts import CountsText
    from focus_plugin.text import Text
    from focus_plugin.vocabulary.tokenizers import Tokenizer
    from focus_plugin.vocabulary.vocabulary import Vocabulary

_NUMBERS = [*map(str, range(9999)), *(f"0{i}" for i in range(99))]
ALIGNER = "model1"
WORD_PART_WEIGHT, WORD_START_WEIGHT = 1000, 2000  # of a token's translations in those of a token without any

Table = list[dict[int, int]]  # for each target token, its translations and how often it has them


@dataclass(frozen=True, kw_only=True)
class TranstokensOptions(MatchingOptions):
    """The options of trans-tokenization."""

    aligner: str = option(
        ALIGNER,
        choices=("model1", "eflomal", "fast_align"),
        help="How words are aligned: by IBM model 1, as the authors do, or by a program that is installed.",
    )
    pair_count: int = option(10, minimum=1, help="Leave out pairs of words that are aligned less often.")
    sentence_pairs: int = option(
        200_000, minimum=0, help="Number of sentence pairs to align, drawn at random from the parallel text; 0: all."
    )
    untranslated: str = option(
        "fill",
        choices=("fill", "unknown"),
        help="Fill tokens without a translation, or give them the row of <unk>, as the authors' software does.",
    )


def transtokens(given: Given) -> "Mixing":
    """The mixing matrix of trans-tokenization.

    Special tokens keep their rows; all others with a translation are mixtures, also those that overlap. Raises
    FocusError if not exactly one of parallel text and alignment is given, and for errors in these files.
    """
    import numpy as np

    from focus_plugin.mixing.mixing import mixing_of
    from focus_plugin.vocabulary.vocabulary import UNKNOWN

    source, target, same = given.source, given.target, overlapping(given)
    table: Table = [{} for _ in target.tokens]
    for old, new, count in _word_pairs(given):
        _add_words(table, old, new, count)
    for token, translation in _numbers(given):
        _add(table, token, translation, 1)
    for i in np.flatnonzero((same >= 0) & ~target.special).tolist():
        _add(table, i, int(same[i]), 1)
    _complete(table, given)
    if given.options.untranslated == "unknown":
        for i in np.flatnonzero(~target.special).tolist():
            table[i] = table[i] or {source.ids[UNKNOWN]: 1}
    return mixing_of(np.where(target.special, same, -1), _weights(table, len(source)))


def _word_pairs(given: Given) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    """A word of the source, its translation, each as ids of tokens, and how often they are aligned."""
    from focus_plugin.parallel.aligners import Aligner, translation_counts
    from focus_plugin.parallel.text import ParallelText, read_pairs
    from focus_plugin.parallel.words import WordCutter

    files, options = given.files, given.options
    assert given.source_tokenizer is not None
    assert given.target_tokenizer is not None
    source = WordCutter(given.source, given.source_tokenizer)
    target = WordCutter(given.target, given.target_tokenizer)
    named = [name for name in ("parallel", "parallel_source", "parallel_target", "alignment") if files.get(name)]
    if named == ["alignment"]:
        if options.aligner != ALIGNER:
            raise FocusError(f"--aligner {options.aligner} has no effect with --alignment; leave it out.")
        alignment: CountsText = files["alignment"]
        return alignment.at_least(options.pair_count, source, target)
    if named not in (["parallel"], ["parallel_source", "parallel_target"]):
        raise FocusError(
            "The method 'transtokens' needs one of these: --parallel, --parallel-source with --parallel-target, or "
            "--alignment."
        )
    text = ParallelText(tuple(files[name] for name in named))
    pairs = read_pairs(text, options.sentence_pairs, given.seed)
    if left_out := pairs.left_out(text):
        given.tell(left_out)
    counts = translation_counts(pairs, Aligner(options.aligner, source, target), given.tell)
    sentences, least = f"{len(pairs.source):,} pairs of sentences", f"aligned at least {options.pair_count:,} times"
    frequent = int((counts.counts >= options.pair_count).sum())
    if not frequent:
        raise FocusError(
            f"{text}: of {sentences}, no pair of words is {least}; give more parallel text or a smaller --pair-count."
        )
    given.tell(f"{text}: {sentences}; {frequent:,} pairs of words are {least}.")
    return counts.at_least(options.pair_count)


def _add(table: Table, token: int, translation: int, count: int) -> None:
    table[token][translation] = table[token].get(translation, 0) + count


def _add_words(table: Table, old: tuple[int, ...], new: tuple[int, ...], count: int) -> None:
    """Spread the count of two words, the source's and the target's, over pairs of their tokens.

    Counts are whole numbers, rounded down but at least 1, as in the authors' software.
    """
    if len(old) == len(new) == 1:
        _add(table, new[0], old[0], count)
        return
    half = max(1, count // 2)
    for token in new:
        for translation in old:
            _add(table, token, translation, max(1, half // len(old)))
    shared = gcd(len(old), len(new))
    old_repeats, new_repeats = len(new) // shared, len(old) // shared
    for i in range(len(old) * old_repeats):
        _add(table, new[i // new_repeats], old[i // old_repeats], max(1, half // new_repeats))


def _numbers(given: Given) -> Iterator[tuple[int, int]]:
    """Each target token that is a number, with the first token of this number in the source."""
    source, target, spaced = given.source, given.target, [f" {number}" for number in _NUMBERS]
    old, new = (_cut(given.source_tokenizer, source), _cut(given.target_tokenizer, target))
    pairs = [
        (target.ids.get(number), source.ids.get(number, cut[0]))
        for number, cut in zip(_NUMBERS, old(_NUMBERS), strict=True)
    ]
    for texts in (_NUMBERS, spaced):
        pairs += [
            (cut[0] if len(cut) == 1 else None, whole[0]) for cut, whole in zip(new(texts), old(texts), strict=True)
        ]
    for token, translation in pairs:
        if token is not None and not target.special[token] and not source.special[translation]:
            yield token, translation


def _cut(tokenizer: "Tokenizer | None", vocabulary: "Vocabulary") -> Callable[[list[str]], list[list[int]]]:
    """A function from texts to the ids of the tokens of each."""
    from focus_plugin.vocabulary.tokenizers import piece_ids

    assert tokenizer is not None
    table = piece_ids(tokenizer, vocabulary).tolist()
    return lambda texts: [[table[i] for i in cut] for cut in tokenizer.ids(texts)]


def _complete(table: Table, given: Given) -> None:
    """Give a token without a translation those of the tokens that begin with it and of the longest that it contains.

    They can be tokens that have got theirs in this way, since tokens are taken in the order of their ids. A translation
    that starts a word counts twice.
    """
    ids, starts_word = given.target.ids, [token.startswith(WORD_START) for token in given.source.tokens]
    tokens = sorted(
        token for token, special in zip(given.target.tokens, given.target.special, strict=True) if not special
    )
    for i, token in enumerate(given.target.tokens):
        if table[i] or given.target.special[i]:
            continue
        found: dict[int, int] = {}
        for other in (*_beginning_with(token, tokens, ids, table), *_inside(token, ids, table)):
            total = sum(table[other].values())
            for translation, count in table[other].items():
                share = WORD_START_WEIGHT if starts_word[translation] else WORD_PART_WEIGHT
                found[translation] = found.get(translation, 0) + max(1, share * count // total)
        table[i] = found
        given.progress(1)


def _beginning_with(token: str, ordered: list[str], ids: Mapping[str, int], table: Table) -> Iterator[int]:
    """The translated tokens that begin with ``token``; ``ordered``: all tokens, sorted."""
    for place in range(bisect_left(ordered, token), len(ordered)):
        if not ordered[place].startswith(token):
            return
        if table[ids[ordered[place]]]:
            yield ids[ordered[place]]


def _inside(token: str, ids: Mapping[str, int], table: Table) -> Iterator[int]:
    """The translated tokens in ``token`` that are in no longer one of them."""
    longer: list[str] = []
    for length in range(len(token) - 1, 0, -1):
        parts = dict.fromkeys(token[start : start + length] for start in range(len(token) - length + 1))
        found = [part for part in parts if part in ids and table[ids[part]]]
        yield from (ids[part] for part in found if not any(part in other for other in longer))
        longer += found


def _weights(table: Table, width: int) -> "csr_matrix":
    """The counts of each token, scaled to sum to 1; shape (target, source)."""
    import numpy as np
    from scipy.sparse import csr_matrix

    lengths = np.array([len(row) for row in table])
    columns = np.array([column for row in table for column in row], dtype=np.int32)
    counts = np.array([count for row in table for count in row.values()], dtype=np.float64)
    sums = np.array([sum(row.values()) for row in table], dtype=np.float64)
    shares = (counts / np.repeat(sums, lengths)).astype(np.float32)
    return csr_matrix((shares, columns, np.append(0, np.cumsum(lengths))), (len(table), width))


def _same(text: "Text") -> "Text":
    return text


def _alignment(text: "Text") -> "CountsText":
    from focus_plugin.parallel.counts import CountsText

    return CountsText(text)


def _packages(options: TranstokensOptions) -> tuple[str, ...]:
    return ("eflomal",) if options.aligner == "eflomal" else ()


METHOD = Method(
    name="transtokens",
    summary="New tokens are mixtures of the source's tokens that translate them in a parallel text.",
    paper="Remy et al., Trans-Tokenization, COLM 2024, https://openreview.net/forum?id=sBxvoDhvao",
    make=transtokens,
    options=TranstokensOptions,
    files=(
        MethodFile(
            name="parallel",
            help="Parallel text: on each line a text in a language of the source, a tab, and its translation.",
            read=_same,
            text=True,
            required=False,
        ),
        MethodFile(
            name="parallel_source",
            help="Parallel text in two files: the one in a language of the source.",
            read=_same,
            text=True,
            required=False,
        ),
        MethodFile(
            name="parallel_target", help="The other one, in the target language.", read=_same, text=True, required=False
        ),
        MethodFile(
            name="alignment",
            help="Instead of parallel text, an alignment made elsewhere: on each line a word, its translation and how "
            "often they are aligned, separated by tabs; or the table of the authors' fast_align.",
            read=_alignment,
            text=True,
            required=False,
        ),
    ),
    needs=(Need.SOURCE_TOKENIZER, Need.TARGET_TOKENIZER),
    published={"sentence_pairs": 0, "untranslated": "unknown", "calibrate": 0},
    packages=_packages,
)
