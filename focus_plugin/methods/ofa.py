"""OFA: new tokens as mixtures of the source tokens nearest in multilingual word vectors (Liu et al., NAACL 2024).

The vectors of words of many languages are in one space. The vector of a token, of the source as of the target, is the
mean of the words that contain it (section 3.2). A target token that overlaps keeps its row. Any other is a mixture of
the source tokens with the most similar vectors, weighted by the softmax of the cosines (section 3.3).

With factors, the source's embedding is approximated by a product of two matrices, from its singular value decomposition
(section 3.1). Rows are copied and mixed in the first, which has a column for each factor; all tokens share the second.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Given, Method, MethodFile, Need
from focus_plugin.mixing.matching import MatchingOptions, overlapping
from focus_plugin.mixing.nearest import NearestOptions
from focus_plugin.options import option

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from focus_plugin.auxiliary.word_vectors import WordVectors
    from focus_plugin.mixing.mixing import Factors, Mixing
    from focus_plugin.vocabulary.tokenizers import Tokenizer
    from focus_plugin.vocabulary.vocabulary import Vocabulary

_BATCH = 4096  # words that are cut at once
GRAM_ROWS = 16_384  # rows of the embedding multiplied in float64 at once
BOUNDARY = "$"  # for a space in the words of ColexNet+, the vectors of the paper


@dataclass(frozen=True, kw_only=True)
class OfaOptions(MatchingOptions, NearestOptions):
    """The options of OFA."""

    factors: int = option(
        0,
        minimum=0,
        help="Factorize the embedding: rows of this many values, such as 100, 200 or 400, and a projection to the "
        "width that all tokens share; 0: do not.",
    )


def ofa(given: Given) -> "Mixing":
    """The mixing matrix of OFA.

    Tokens overlap if their canonical forms are equal, or else equal without case. Tokens that are in no word are
    filled. Raises FocusError if no token of the source or none of the target is in a word, and for factors that the
    source cannot have.
    """
    import numpy as np

    from focus_plugin.auxiliary.word_vectors import any_text
    from focus_plugin.mixing.cosines import VectorsOf
    from focus_plugin.mixing.mixing import Mixing
    from focus_plugin.mixing.nearest import nearest_weighing
    from focus_plugin.mixing.similarity import similar

    copied, words = _overlap(given), given.files["multilingual_vectors"]
    if words.note:
        given.tell(words.note)
    sides = ((given.source, given.source_tokenizer), (given.target, given.target_tokenizer))
    source, target = (_vectors(words, vocabulary, tokenizer) for vocabulary, tokenizer in sides)
    anchors = np.flatnonzero(source.any(axis=1) & ~given.source.special)
    new = np.flatnonzero(target.any(axis=1) & (copied < 0) & ~given.target.special)
    if not any_text(source, given.source):
        raise FocusError(
            "No token of the source is in a word of --multilingual-vectors; has it words of its languages?"
        )
    if not any_text(target, given.target):
        raise FocusError("No token of the target is in a word of --multilingual-vectors; has it words of its language?")
    weighing = nearest_weighing(given.options, len(anchors))
    blocks = similar(VectorsOf(target, new), VectorsOf(source, anchors), weighing, given.device, given.progress)
    return Mixing(copied, anchors, blocks, factors=_factors(given) if given.options.factors else None)


def _factors(given: Given) -> "Factors":
    """The source's embedding as a product of rows and a projection, the best one in the least-squares sense.

    From the decomposition U S V^T, rows are U S and the projection is V. The authors have U and S V^T, with the same
    product. U is tiny if there are many tokens, so that a learning rate for embeddings would be far too large for it;
    the rows U S have the size of the embedding's.
    """
    import torch

    from focus_plugin.mixing.mixing import Factors

    embedding, count = given.embedding, given.options.factors
    assert embedding is not None
    if given.output_embedding is not None:
        raise FocusError("The source has an output embedding of its own, so its embedding cannot be factorized.")
    if count >= embedding.shape[1]:
        raise FocusError(
            f"--factors {count} must be smaller than {embedding.shape[1]}, the length of the source's rows."
        )
    gram = sum(part.double().T @ part.double() for part in torch.split(embedding, GRAM_ROWS))
    projection = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :count].float()
    return Factors(embedding @ projection, projection.contiguous())


def _overlap(given: Given) -> "np.ndarray":
    """The source token whose row each target token keeps, or -1; one that differs in case only if none is equal."""
    import numpy as np

    from focus_plugin.vocabulary.overlap import overlap

    source, target = given.source, given.target
    text = sorted((source.forms[i], i) for i in np.flatnonzero(~source.special).tolist())
    without_case = {form.lower(): i for form, i in text}  # the last of several, as in the authors' software
    found = overlap(source, target)
    for i in np.flatnonzero((found < 0) & ~target.special).tolist():
        found[i] = without_case.get(target.forms[i].lower(), -1)
    return np.where(found < 0, overlapping(given), found)


def _vectors(words: "WordVectors", vocabulary: "Vocabulary", tokenizer: "Tokenizer | None") -> "np.ndarray":
    """The mean of the words that contain each token, (tokens, dimension), float32; zeros for a token in no word.

    Each word is cut in three spellings, and counts once for each that contains the token.
    """
    import numpy as np

    from focus_plugin.auxiliary.word_vectors import add_words, distinct_tokens
    from focus_plugin.vocabulary.tokenizers import piece_ids

    assert tokenizer is not None
    table = piece_ids(tokenizer, vocabulary)
    sums, counts = np.zeros((len(vocabulary), words.dimension)), np.zeros(len(vocabulary))
    for start in range(0, len(words.words), _BATCH):
        spellings = [_spellings(word) for word in words.words[start : start + _BATCH]]
        cuts = tokenizer.ids([spelling for group in spellings for spelling in group])
        of_word = np.repeat(np.arange(len(spellings)), [len(group) for group in spellings])
        of_cut, ids = distinct_tokens(cuts, table)
        rows = words.rows(np.arange(start, start + len(spellings)))
        add_words(sums, ids, of_word[of_cut], np.ones(len(ids)), rows)
        counts += np.bincount(ids, minlength=len(counts))
    return np.divide(sums, counts[:, None], out=sums, where=counts[:, None] > 0).astype(np.float32)


def _spellings(word: str) -> list[str]:
    """How a word is cut: as it is, after a space, and capitalized.

    A word can begin with the code of its language, as in ``eng:house``. With boundaries, as in ``$house$``, the
    capitalized word is at the beginning of a text; else it is after a space.
    """
    if len(word) > len("xyz:") and word[3] == ":":
        word = word[4:]
    text = word.replace(BOUNDARY, " ")
    bare = text[1:] if word.startswith(BOUNDARY) else text
    capitalized = bare[:1].upper() + bare[1:]
    return [text, f" {text}", capitalized if word.startswith(BOUNDARY) else f" {capitalized}"]


def _read(path: "Path") -> "WordVectors":
    from focus_plugin.auxiliary.word_vectors import read_word_vectors

    return read_word_vectors(path)


METHOD = Method(
    name="ofa",
    summary="New tokens are mixtures of the source tokens with the most similar multilingual word vectors.",
    paper="Liu et al., OFA, NAACL 2024 (Findings), https://aclanthology.org/2024.findings-naacl.68",
    make=ofa,
    options=OfaOptions,
    files=(
        MethodFile(
            name="multilingual_vectors",
            help="Vectors of words of the source's and the target's languages in one space: a .bin of "
            "fastText, or a .vec or .txt, which can be compressed.",
            read=_read,
        ),
    ),
    needs=(Need.SOURCE_TOKENIZER, Need.TARGET_TOKENIZER, Need.EMBEDDING, Need.OUTPUT_EMBEDDING),
    published={"calibrate": 0, "rank_bias": True},
)
