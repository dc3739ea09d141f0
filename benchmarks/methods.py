"""Time and memory of the methods at the size of XLM-R base, beside the products that they cannot do without.

    python benchmarks/methods.py [--rows 2000] [--scale 1.0] [METHOD ...]

The source has 250,002 tokens of width 768 and the target 50,000, of which 20,000 are in both; `--scale` makes source
and overlap smaller. Vectors are random: 100 dimensions for focus, as they are trained, 768 for a helper or donor, 300
for words in wechsel and 200 in ofa, where each token is a word. Of the new tokens, `--rows` are made. For each method
the seconds are those of the method with its application to the embedding, of the bare products alone, and of the
authors' software, where it is installed and can be called on arrays: measured on `--authors` rows and a quarter of
them, from which the time of all rows is extrapolated. Each method runs in a process of its own; its memory is what that
holds at most beyond the input, with the output.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from arguments import program_parser
from measure import seconds

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.word_vectors import WordVectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.mixing.declaration import Given, Method
from focus_plugin.mixing.discovery import find_method
from focus_plugin.transfer.apply import Transfer, apply
from focus_plugin.transfer.origins import MIXED
from focus_plugin.vocabulary.tokenizers import Tokenizer
from focus_plugin.vocabulary.vocabulary import MASK, SPECIALS, UNKNOWN, Vocabulary

SOURCE, TARGET, OVERLAP, WIDTH = 250_002, 50_000, 20_000, 768
DIMENSIONS = {"focus": 100, "clp": WIDTH, "omp": WIDTH, "wechsel": 300, "ofa": 200}
BY_WORDS = ("wechsel", "ofa")  # compare with all tokens of the source, by vectors of words
BLOCK = 1024  # rows of a bare product


@dataclass(frozen=True)
class Input:
    """What is given to a method. vectors: of the target's tokens, or of the source's followed by the target's."""

    source: Vocabulary
    target: Vocabulary
    embedding: torch.Tensor
    vectors: np.ndarray

    @property
    def anchors(self) -> np.ndarray:
        """The target ids of the overlapping tokens that are not special."""
        return np.array([i for i, token in enumerate(self.target.tokens) if token.startswith("c")])

    @property
    def new(self) -> np.ndarray:
        """The target ids of the new tokens."""
        return np.array([i for i, token in enumerate(self.target.tokens) if token.startswith("t")])


def made_input(name: str, rows: int, scale: float) -> Input:
    """Random input for the method ``name`` with ``rows`` new tokens."""
    source, overlap = int(SOURCE * scale), int(OVERLAP * scale)
    shared = [f"c{i}" for i in range(overlap)]
    old = Vocabulary.of([*SPECIALS[:4], *shared, *(f"s{i}" for i in range(source - overlap - 5)), MASK])
    new = Vocabulary.of([*SPECIALS[:4], *shared, *(f"t{i}" for i in range(rows)), MASK])
    draw = torch.Generator().manual_seed(1)
    embedding = torch.randn(source, WIDTH, generator=draw)
    count = len(old) + len(new) if name in BY_WORDS else len(new)
    vectors = torch.randn(count, DIMENSIONS.get(name, 1), generator=draw).numpy()
    return Input(old, new, embedding, vectors)


def run_method(method: Method, given: Input) -> Transfer:
    """Make the rows of the target by ``method``."""
    old, new = len(given.source), len(given.target)
    files = {}
    if method.name == "wechsel":  # a vector of each token, without n-grams and without a dictionary
        source, target = given.vectors[:old], given.vectors[old:]
        files = {
            "source_words": _words(given.source, source),
            "target_words": _words(given.target, target),
            "dictionary": None,
        }
    if method.name == "ofa":
        both = dict(zip((*given.source.tokens, *given.target.tokens), range(old + new), strict=True))
        ids = np.array([*both.values()])  # a token of both has one vector
        files = {
            "multilingual_vectors": WordVectors(
                [*both], np.ones(len(both)), given.vectors.shape[1], lambda numbers: given.vectors[ids[numbers]]
            )
        }
    tensors = {EMBEDDING: given.embedding, OUTPUT_EMBEDDING: given.embedding, OUTPUT_BIAS: torch.zeros(old)}
    made = method.make(
        Given(
            source=given.source,
            target=given.target,
            options=method.options(),
            files=files,
            vectors=TokenVectors.of(given.vectors[-new:]),
            embedding=given.embedding,
            bias=tensors[OUTPUT_BIAS],
            source_tokenizer=_each_token(given.source),
            target_tokenizer=_each_token(given.target),
        )
    )
    return apply(tensors, made, seed=1)


def _words(vocabulary: Vocabulary, rows: np.ndarray) -> WordVectors:
    by_token = dict(zip(vocabulary.tokens, rows, strict=True))
    counts = np.ones(len(vocabulary))
    return WordVectors(vocabulary.tokens, counts, rows.shape[1], lambda ids: rows[ids], by_token.__getitem__)


def _each_token(vocabulary: Vocabulary) -> Tokenizer:
    """A tokenizer of texts that are tokens, also after a space and capitalized."""
    ids, unknown = vocabulary.ids, [vocabulary.ids[UNKNOWN]]

    def cut(lines: list[str]) -> list[list[int]]:
        return [[ids[word]] if (word := line.strip().lower()) in ids else unknown for line in lines]

    return Tokenizer(vocabulary.tokens, lambda lines: [], cut, lambda lines: [])


def bare_products(name: str, given: Input, made: Transfer) -> None:
    """The products alone: of the vectors, as often as the method needs them, and of the weights with the embedding."""
    vectors = torch.from_numpy(given.vectors)
    old = len(given.source) if name in BY_WORDS else 0
    points = vectors[:old] if old else vectors[given.anchors]
    mixed = np.flatnonzero(made.origins.kind == MIXED)  # in wechsel also tokens that overlap
    queries, times = vectors[old:][mixed], find_method("omp").declaration.options().anchors if name == "omp" else 1
    for start in range(0, len(queries), BLOCK):
        for _ in range(times):
            products = queries[start : start + BLOCK] @ points.T
        if name == "clp":
            products @ given.embedding[: products.shape[1]]
    if name != "clp":
        assert made.weights is not None
        made.weights[mixed] @ given.embedding.numpy()


def authors_clp(given: Input) -> None:
    """What clp.py of the authors computes, as it does it: one row after the other."""
    from sklearn.metrics.pairwise import cosine_similarity

    rows = given.embedding.numpy()[given.anchors]
    for similarity in cosine_similarity(given.vectors[given.new], given.vectors[given.anchors]):
        np.average(rows, axis=0, weights=similarity / similarity.sum())


def authors_omp(given: Input) -> None:
    """The function of mergekit. Raises ImportError if it is not installed."""
    from mergekit.tokensurgeon.omp import batch_omp

    vectors = torch.from_numpy(given.vectors)
    count = find_method("omp").declaration.options().anchors
    for start in range(0, len(given.new), 128):
        ids, weights = batch_omp(vectors[given.new[start : start + 128]], vectors[given.anchors], count)
        torch.bmm(weights[:, None], given.embedding[given.anchors][ids])


def authors_wechsel(given: Input) -> None:
    """The function of the authors' package that computes the rows. Raises ImportError if it is not installed."""
    import wechsel
    from tokenizers import Tokenizer as Library
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    sides = [
        PreTrainedTokenizerFast(tokenizer_object=Library(WordLevel(side.ids, unk_token="<unk>")))
        for side in (given.source, given.target)
    ]
    rows = given.vectors / np.linalg.norm(given.vectors, axis=1, keepdims=True)
    old = len(given.source)
    wechsel.create_target_embeddings(rows[:old], rows[old:], *sides, given.embedding.numpy(), verbose=False)


AUTHORS: dict[str, Callable[[Input], None]] = {"clp": authors_clp, "omp": authors_omp, "wechsel": authors_wechsel}


def authors_seconds(name: str, given: Input, rows: int) -> float | None:
    """The seconds of the authors' software for all new tokens, extrapolated; None if it is not installed."""
    if name not in AUTHORS:
        return None

    def of_rows(count: int) -> float:
        part = first_rows(given, count)
        return seconds(lambda: AUTHORS[name](part))

    try:
        of_rows(rows // 4)  # with what is only done the first time
        few, many = of_rows(rows // 4), of_rows(rows)
    except ImportError:
        return None
    return many + (many - few) / (rows - rows // 4) * (len(given.new) - rows)


def first_rows(given: Input, count: int) -> Input:
    """The same input with the first ``count`` new tokens only."""
    kept = [i for i, token in enumerate(given.target.tokens) if not token.startswith("t") or int(token[1:]) < count]
    old = len(given.vectors) - len(given.target)
    target = Vocabulary.of([given.target.tokens[i] for i in kept])
    return replace(given, target=target, vectors=given.vectors[[*range(old), *(old + i for i in kept)]])


def held() -> int:
    """The bytes that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def one(name: str, rows: int, scale: float, authors: int) -> dict[str, float | None]:
    """Measure one method in this process."""
    given, method = made_input(name, rows, scale), find_method(name).declaration
    before, result = held(), []
    found: dict[str, float | None] = {"seconds": seconds(lambda: result.append(run_method(method, given)))}
    found["memory"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    found["products"] = seconds(lambda: bare_products(name, given, result[0]))
    found["authors"] = authors_seconds(name, given, min(authors, rows))
    return found


def main() -> None:
    """Measure each method in a process of its own, and print a line for each."""
    parser = program_parser(__doc__)
    parser.add_argument("methods", nargs="*", default=[*DIMENSIONS], metavar="METHOD", help=", ".join(DIMENSIONS))
    parser.add_argument("--rows", type=int, default=TARGET - OVERLAP)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--authors", type=int, default=1000)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = ("--rows", str(arguments.rows), "--scale", str(arguments.scale), "--authors", str(arguments.authors))
    if arguments.here:
        print(json.dumps(one(arguments.methods[0], arguments.rows, arguments.scale, arguments.authors)))
        return
    for name in arguments.methods:
        command = [sys.executable, __file__, name, *size, "--here"]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
        authors = f"{found['authors']:.1f} s" if found["authors"] else "not run"
        print(
            f"{name}: {found['seconds']:.1f} s, {found['seconds'] / found['products']:.2f} x the bare products "
            f"({found['products']:.1f} s); authors' software {authors}; {found['memory'] / 1e9:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    main()
