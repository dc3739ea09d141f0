"""WECHSEL: new tokens as mixtures of the source tokens nearest in aligned word vectors (Minixhofer et al., NAACL 2022).

1. Word vectors of the source's language and of the target language give vectors to the tokens of both vocabularies:
   fastText's n-grams of a token's text, or the mean of the words that contain it, weighted by their frequency.
2. The source's vectors are rotated onto the target's. The rotation is the orthogonal matrix that best maps the words of
   a bilingual dictionary onto their translations (orthogonal Procrustes), each also in lower and title case. Without a
   dictionary, the vectors are taken as already aligned.
3. Each target token is a mixture of the nearest of all source tokens, weighted by the softmax of the cosines.

Only special tokens keep their rows. In the authors' experiments the source is an encoder of one language, English.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from focus_plugin.errors import FocusError
from focus_plugin.mixing.anchors import SpecialAnchorOptions
from focus_plugin.mixing.declaration import Given, Method, MethodFile, Need
from focus_plugin.mixing.matching import CopyOverlapOptions, kept
from focus_plugin.mixing.nearest import NearestOptions
from focus_plugin.options import option

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from focus_plugin.auxiliary.word_vectors import WordVectors
    from focus_plugin.bilingual.dictionary import Entry
    from focus_plugin.bilingual.words import WordPairs
    from focus_plugin.mixing.mixing import Mixing
    from focus_plugin.text import Text
    from focus_plugin.vocabulary.tokenizers import Tokenizer
    from focus_plugin.vocabulary.vocabulary import Vocabulary

_BATCH = 4096  # pairs of words whose vectors are in memory at once


@dataclass(frozen=True, kw_only=True)
class WechselOptions(CopyOverlapOptions, NearestOptions, SpecialAnchorOptions):
    """The options of WECHSEL."""

    token_vectors: str = option(
        "ngrams",
        choices=("ngrams", "words"),
        help="Make the vector of a token from its n-grams, if the word vectors have n-grams, or from the words that "
        "contain it.",
    )


def wechsel(given: Given) -> "Mixing":
    """The mixing matrix of WECHSEL.

    Tokens without a vector are filled. Raises FocusError if the vectors of the two languages have different dimensions,
    if none of the pairs of words has vectors, and if no token of the source or none of the target has one.
    """
    import numpy as np

    from focus_plugin.auxiliary.word_vectors import any_text
    from focus_plugin.mixing.cosines import VectorsOf
    from focus_plugin.mixing.mixing import Mixing
    from focus_plugin.mixing.nearest import nearest_weighing
    from focus_plugin.mixing.similarity import similar

    options, old, new = given.options, given.files["source_words"], given.files["target_words"]
    for note in filter(None, (old.note, new.note)):
        given.tell(note)
    if old.dimension != new.dimension:
        raise FocusError(
            f"The vectors of --source-words have {old.dimension} dimensions and those of --target-words "
            f"{new.dimension}; give vectors with the same number."
        )
    pairs = given.files["dictionary"]
    source = _of_tokens(old, given.source, given.source_tokenizer, options.token_vectors)
    if pairs:
        source = source @ _rotation(given, pairs, old, new)
    target = _of_tokens(new, given.target, given.target_tokenizer, options.token_vectors)
    copied = kept(given)
    anchors = np.flatnonzero(source.any(axis=1) & (options.special_anchors | ~given.source.special))
    made = np.flatnonzero(target.any(axis=1) & (copied < 0) & ~given.target.special)
    if not any_text(source, given.source):
        raise FocusError("No token of the source is in a word of --source-words; are they of one of its languages?")
    if not any_text(target, given.target):
        raise FocusError("No token of the target is in a word of --target-words; are they of its language?")
    weighing = nearest_weighing(options, len(anchors))
    blocks = similar(VectorsOf(target, made), VectorsOf(source, anchors), weighing, given.device, given.progress)
    return Mixing(copied, anchors, blocks)


def _of_tokens(words: "WordVectors", vocabulary: "Vocabulary", tokenizer: "Tokenizer | None", how: str) -> "np.ndarray":
    """The vectors of a vocabulary's tokens, (tokens, dimension), float32; zeros for a token without one."""
    from focus_plugin.auxiliary.word_vectors import vectors_by_ngrams, vectors_by_words

    assert tokenizer is not None
    if how == "ngrams" and words.of_text:
        return vectors_by_ngrams(words, vocabulary)
    return vectors_by_words(words, vocabulary, tokenizer)


def _rotation(given: Given, pairs: "WordPairs", old: "WordVectors", new: "WordVectors") -> "np.ndarray":
    """The orthogonal matrix that best maps words onto their translations; (dimension, dimension), float32.

    For a word A and its translation B, it minimizes the sum of the squared norms of A R - B: R is U V^T, if U S V^T is
    the singular value decomposition of the sum of A^T B.
    """
    import numpy as np

    found = [_spelled(pair, old, new) for pair in pairs.pairs]
    known, used = Counter(chain.from_iterable(found)), sum(map(bool, found))
    given.tell(f"Dictionary: {pairs}; {used:,} of them {'has' if used == 1 else 'have'} vectors on both sides.")
    if (exchanged := sum(bool(_spelled((b, a), old, new)) for a, b in pairs.pairs)) > used:
        given.tell(
            f"Warning: {exchanged:,} would have vectors if the columns of --dictionary were exchanged; its first "
            "column must be words of --source-words."
        )
    if not known:
        raise FocusError(
            "No pair of --dictionary has a vector on both sides; its first column must be words of --source-words, and "
            "its second column words of --target-words."
        )
    if len(known) < old.dimension:
        given.tell(
            f"Other spellings included, these are fewer than the {old.dimension} dimensions, so that a part of the "
            "rotation is arbitrary; give a larger dictionary."
        )
    numbers, counts = np.array([*known]), np.array([*known.values()])
    products = np.zeros((old.dimension, old.dimension))
    for start in range(0, len(numbers), _BATCH):
        part = slice(start, start + _BATCH)
        words, translations = old.rows(numbers[part, 0]), new.rows(numbers[part, 1])
        products += words.T.astype(np.float64) @ (counts[part, None] * translations)
    left, _, right = np.linalg.svd(products)
    return np.asarray(left @ right, dtype=np.float32)


def _spelled(pair: "Entry", old: "WordVectors", new: "WordVectors") -> list[tuple[int, int]]:
    """The numbers of the words of a pair, as it is, in lower and in title case, if both have a vector.

    A spelling that is equal to another one counts again, as in the authors' software.
    """
    lefts, rights = ((word, word.lower(), word.title()) for word in pair)
    return [
        (old.numbers[left], new.numbers[right])
        for left in lefts
        for right in rights
        if left in old.numbers and right in new.numbers
    ]


def _read_words(path: "Path") -> "WordVectors":
    from focus_plugin.auxiliary.word_vectors import read_word_vectors

    return read_word_vectors(path)


def _read_pairs(text: "Text") -> "WordPairs":
    from focus_plugin.bilingual.words import read_word_pairs

    return read_word_pairs(text)


METHOD = Method(
    name="wechsel",
    summary="New tokens are mixtures of the source tokens with the most similar word vectors, aligned by a dictionary.",
    paper="Minixhofer et al., WECHSEL, NAACL 2022, https://aclanthology.org/2022.naacl-main.293",
    make=wechsel,
    options=WechselOptions,
    files=(
        MethodFile(
            name="source_words",
            help="Vectors of words of a language of the source: a .bin of fastText, or a .vec or .txt, which "
            "can be compressed.",
            read=_read_words,
        ),
        MethodFile(
            name="target_words", help="Vectors of words of the target language, in the same formats.", read=_read_words
        ),
        MethodFile(
            name="dictionary",
            help="Words of --source-words and their translations, on each line two words or two columns separated by a "
            "tab; without it the vectors have to be aligned already.",
            read=_read_pairs,
            text=True,
            required=False,
        ),
    ),
    needs=(Need.SOURCE_TOKENIZER, Need.TARGET_TOKENIZER),
    published={"special_anchors": True, "fill": "numpy", "seed": 1234, "calibrate": 0, "rank_bias": True},
)
