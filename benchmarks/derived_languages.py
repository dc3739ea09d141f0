"""Languages derived from a text by systematic changes, as in "When is BERT multilingual?" (Deshpande et al. 2022).

    python benchmarks/derived_languages.py vocabulary --input sw.vocab --output sw.doubled
    python benchmarks/derived_languages.py text --by transliteration inversion --vocab sw.vocab < sw.txt > new.txt
    python benchmarks/derived_languages.py table --by transliteration inversion --vocab sw.vocab < ner.txt > new.ner.txt

- transliteration: all characters are replaced by other ones, so that each token of the vocabulary has a twin.
  White space, and so the token that is a space alone, is common to both languages.
- inversion: the words of a sentence are reversed; final punctuation stays last.
- permutation: the words of a sentence are put into a random order.
- syntax: each word follows all words that depend on it, as in Japanese; final punctuation stays last. This needs the
  package ufal.udpipe and a model of UDPipe for the language: `--by syntax --udpipe MODEL`. Words are what white space
  separates, in tables and in texts. The paper learns the orders of nouns and verbs from treebanks of other languages.

In tables, tags move with their words, and an entity in BIO begins with B again. `vocabulary` adds the twins to a
SentencePiece vocabulary. It also writes `dictionary.tsv`, the tokens with their twins.
"""

import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from arguments import program_parser
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE

CHANGES = ("transliteration", "inversion", "permutation", "syntax")
FINAL = (".", "?", "!")
SPACE = "▁"
_PLANES = {0x0: 0xF0000, 0x1: 0x100000}  # to the planes for private use, which no text has
_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece

Order = Callable[[Sequence[str]], list[int]]
Parser = Callable[[Sequence[str]], Sequence[int]]  # the head of each word of a sentence, and -1 for the root


def transliterated(text: str) -> str:
    """``text`` in the other script, character by character; white space and SentencePiece's sign for it stay.

    Characters outside the first two planes of Unicode, rare Chinese ones, stay, too.
    """
    return "".join(map(_twin, text))


def _twin(character: str) -> str:
    code = ord(character)
    plane = _PLANES.get(code >> 16)
    if plane is None or character == SPACE or character.isspace() or code & 0xFFFE == 0xFFFE:
        return character
    return chr(plane + (code & 0xFFFF))


def inversion(words: Sequence[str]) -> list[int]:
    """The order in which words of a sentence are reversed; a word that is final punctuation stays last."""
    end = len(words) - (bool(words) and words[-1] in FINAL)
    return [*reversed(range(end)), *range(end, len(words))]


def permutation(words: Sequence[str]) -> list[int]:
    """A random order of the words of a sentence, always the same for one sentence."""
    order = list(range(len(words)))
    random.Random(" ".join(words)).shuffle(order)
    return order


def heads_last(words: Sequence[str], parser: Parser) -> list[int]:
    """The order in which each word follows all words that depend on it; a word that is final punctuation stays last."""
    dependents: dict[int, list[int]] = {}
    for word, head in enumerate(parser(words)):
        dependents.setdefault(head, []).append(word)
    order: list[int] = []
    waiting = dependents.get(-1, [])
    while waiting:  # from the end: a word, and then its dependents
        order.append(waiting.pop())
        waiting += dependents.get(order[-1], [])
    order.reverse()
    end = [len(words) - 1] if words and words[-1] in FINAL else []
    return [*(word for word in order if word not in end), *end]


def udpipe_parser(model: Path) -> Parser:
    """The dependency parser in a file of UDPipe."""
    from ufal.udpipe import Model, Sentence

    loaded = Model.load(str(model))
    if loaded is None:
        sys.exit(f"{model}: is not a model of UDPipe.")

    def heads(words: Sequence[str]) -> list[int]:
        sentence = Sentence()
        for word in words:
            sentence.addWord(word)
        loaded.tag(sentence, Model.DEFAULT)
        loaded.parse(sentence, Model.DEFAULT)
        return [word.head - 1 for word in sentence.words][1:]

    return heads


def order_of(changes: Sequence[str], parser: Parser | None = None) -> Order:
    """What ``changes`` do to the order of words. ``parser``: for syntax."""
    if "syntax" in changes:
        if parser is None:
            sys.exit("syntax needs a parser; give a model of UDPipe with --udpipe.")
        return partial(heads_last, parser=parser)
    orders = [order for name, order in (("inversion", inversion), ("permutation", permutation)) if name in changes]
    return orders[0] if orders else lambda words: list(range(len(words)))


def derived_line(line: str, changes: Sequence[str], parser: Parser | None = None) -> str:
    """A line of text in the derived language; its sentences, which final punctuation ends, stay in their order."""
    order = order_of(changes, parser)
    sentences = [_reordered(sentence, order) for sentence in sentences_of(line)]
    text = " ".join(sentences)
    return transliterated(text) if "transliteration" in changes else text


def sentences_of(line: str) -> list[str]:
    """The sentences of a line: each ends with final punctuation before white space, or with the line."""
    return [sentence for sentence in re.split(r"(?<=[.?!])\s+", line.strip()) if sentence]


def _reordered(sentence: str, order: Order) -> str:
    words = sentence.split()
    if words and len(words[-1]) > 1 and words[-1].endswith(FINAL):  # as in tables, where it is a word of its own
        words[-1:] = [words[-1][:-1], words[-1][-1]]
        joined = [words[i] for i in order(words)]
        return " ".join(joined[:-1]) + joined[-1] if joined[-1] in FINAL else " ".join(joined)
    return " ".join(words[i] for i in order(words))


def derived_sentence(
    words: Sequence[str], tags: Sequence[str], changes: Sequence[str], parser: Parser | None = None
) -> tuple[list[str], list[str]]:
    """A tagged sentence in the derived language."""
    order = order_of(changes, parser)(words)
    moved = [words[i] for i in order]
    if "transliteration" in changes:
        moved = [transliterated(word) for word in moved]
    numbers = entities(tags)
    return moved, repaired([tags[i] for i in order], [numbers[i] for i in order])


def entities(tags: Sequence[str]) -> list[int]:
    """The number of the entity that each word belongs to; words outside entities, and plain tags, have one each."""
    numbers: list[int] = []
    for i, tag in enumerate(tags):
        goes_on = i > 0 and tag.startswith("I-") and tags[i - 1][:2] in ("B-", "I-") and tags[i - 1][2:] == tag[2:]
        numbers.append(numbers[-1] if goes_on else len(numbers) and max(numbers) + 1)
    return numbers


def repaired(tags: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """``tags`` in which each run of words of one entity begins with B."""
    fixed = []
    for i, (tag, number) in enumerate(zip(tags, numbers, strict=True)):
        inside = i > 0 and numbers[i - 1] == number
        fixed.append(("I-" if inside else "B-") + tag[2:] if tag[:2] in ("B-", "I-") else tag)
    return fixed


def tagged_sentences(lines: Iterable[str]) -> Iterator[tuple[list[str], list[str]]]:
    """The words and tags of each sentence of a table: a word and its tag on each line, blank lines in between."""
    words: list[str] = []
    tags: list[str] = []
    for line in (*lines, ""):
        if line.strip():
            word, tag = line.split()
            words.append(word)
            tags.append(tag)
        elif words:
            yield words, tags
            words, tags = [], []


def derived_table(
    lines: Iterable[str], changes: Sequence[str], normalized: Callable[[str], str], parser: Parser | None = None
) -> Iterator[str]:
    """The lines of a table in the derived language."""
    for words, tags in tagged_sentences(lines):
        moved = derived_sentence([normalized(word) or word for word in words], tags, changes, parser)
        yield from (f"{word} {tag}" for word, tag in zip(*moved, strict=True))
        yield ""


def normalizer(vocabulary: Path) -> Callable[[str], str]:
    """What SentencePiece does to a text before it cuts it; the text must be normalized before it is transliterated."""
    processor = SentencePieceProcessor(model_file=str(vocabulary / SENTENCEPIECE))
    return lambda text: processor.normalize(text).replace(SPACE, " ").strip()


def double_vocabulary(vocabulary: Path, output: Path) -> None:
    """Write a vocabulary that also has the twin of each token, after all tokens and in their order."""
    model = _protobuf.ModelProto.FromString((vocabulary / SENTENCEPIECE).read_bytes())
    lines = [line.rsplit(" ", 1) for line in (vocabulary / DICTIONARY).read_text(encoding="utf-8").splitlines()]
    twins = {token: twin for token, _ in lines if (twin := transliterated(token)) != token}
    pieces = {piece.piece: piece for piece in model.pieces if piece.type in (_Piece.NORMAL, _Piece.USER_DEFINED)}
    for token in twins.keys() & pieces.keys():
        twin = model.pieces.add()
        twin.CopyFrom(pieces[token])
        twin.piece = twins[token]
    doubled = [*lines, *([twins[token], count] for token, count in lines if token in twins and token in pieces)]
    output.mkdir(parents=True, exist_ok=True)
    (output / SENTENCEPIECE).write_bytes(model.SerializeToString(deterministic=True))
    (output / DICTIONARY).write_text("".join(f"{token} {count}\n" for token, count in doubled), encoding="utf-8")
    pairs = [f"{token}\t{twins[token]}\n" for token, _ in lines if token in twins and token in pieces]
    (output / "dictionary.tsv").write_text("".join(pairs), encoding="utf-8")


def main() -> None:
    """Read the command line and do what it says."""
    parser = program_parser(__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    doubled = kinds.add_parser("vocabulary")
    doubled.add_argument("--input", type=Path, required=True)
    doubled.add_argument("--output", type=Path, required=True)
    for kind in ("text", "table"):
        derived = kinds.add_parser(kind)
        derived.add_argument("--by", choices=CHANGES, nargs="+", required=True)
        derived.add_argument("--vocab", type=Path, required=True, help="whose tokenizer normalizes the text")
        derived.add_argument("--udpipe", type=Path, help="model of UDPipe, for syntax")
    arguments = parser.parse_args()
    if arguments.kind == "vocabulary":
        double_vocabulary(arguments.input, arguments.output)
        return
    normalized = normalizer(arguments.vocab)
    syntax = udpipe_parser(arguments.udpipe) if arguments.udpipe else None
    if arguments.kind == "text":
        lines: Iterable[str] = (derived_line(normalized(line), arguments.by, syntax) for line in sys.stdin)
    else:
        lines = derived_table(sys.stdin, arguments.by, normalized, syntax)
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
