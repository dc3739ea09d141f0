"""Write the sample corpora: `python sample/generate.py --output DIR [--seed 1] [--lines swa=20000 eng=5000 ...]`."""

import argparse
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path
from random import Random

import english
import german
import spanish
import swahili
import zulu
from author import Author
from concepts import LANGUAGES, Lexicon, load
from labelled import pairs, questions, tagged
from meaning import Document

REALIZERS = {
    "eng": english.realize,
    "deu": german.realize,
    "spa": spanish.realize,
    "zul": zulu.realize,
    "swa": swahili.realize,
}


def text(document: Document, language: str) -> str:
    """A document as one line."""
    return " ".join(map(REALIZERS[language], document.sentences))


def unique(lexicon: Lexicon, language: str, seed: int) -> Iterator[tuple[str, str]]:
    """An endless stream of different documents, each a topic and a line."""
    author, seen = Author(lexicon, Random(f"{seed} {language}")), set()
    while True:
        document = author.document()
        line = text(document, language)
        if line not in seen:
            seen.add(line)
            yield document.topic, line


def write(path: Path, lines: list[str]) -> None:
    """Write lines as UTF-8 with plain newlines."""
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


def write_language(folder: Path, stream: Iterator[tuple[str, str]], language: str, lines: int) -> None:
    """Write the training text of a language, and a twentieth as much for validation."""
    for part, count in (("train", lines), ("valid", max(lines // 20, 1))):
        write(folder / f"{language}.{part}.txt", [line for _, (_, line) in zip(range(count), stream, strict=False)])


def write_topics(folder: Path, stream: Iterator[tuple[str, str]], language: str, lines: int) -> None:
    """Write documents labelled with their topics, and a quarter as many for validation."""
    for part, count in (("train", lines), ("valid", max(lines // 4, 1))):
        rows = ["\t".join(row) for _, row in zip(range(count), stream, strict=False)]
        write(folder / f"topic.{language}.{part}.tsv", ["label\ttext", *rows])


def write_parallel(folder: Path, lexicon: Lexicon, seed: int, lines: int) -> None:
    """Write the same documents in all languages, one column each."""
    author = Author(lexicon, Random(f"{seed} parallel"))
    documents = [author.document() for _ in range(lines)]
    rows = ["\t".join(text(document, language) for language in LANGUAGES) for document in documents]
    write(folder / "parallel.tsv", ["\t".join(LANGUAGES), *rows])


def write_labelled(folder: Path, lexicon: Lexicon, seed: int, lines: int) -> None:
    """Write tables of Swahili for tagging, pairs and questions, and a quarter as many examples for validation."""
    author = Author(lexicon, Random(f"{seed} tags"))
    tags = (tagged(text(author.document(), "swa"), lexicon) for _ in repeat(None))
    both = ("\t".join(row) for row in pairs(lexicon, seed))
    asked = questions(lexicon, seed)
    for part, number in (("train", lines), ("valid", max(lines // 4, 1))):
        write(folder / f"tags.swa.{part}.conll", list(islice(tags, number)))
        write(folder / f"pairs.swa.{part}.tsv", ["label\tfirst\tsecond", *islice(both, number)])
        write(folder / f"questions.swa.{part}.jsonl", list(islice(asked, number)))


def count_of(argument: str) -> tuple[str, int]:
    """A language and its number of lines, from LANG=N."""
    language, _, number = argument.partition("=")
    if language not in REALIZERS or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"expected LANG=N with LANG one of {', '.join(LANGUAGES)}, got {argument!r}")
    return language, int(number)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the sample corpora.")
    default = [(language, 20000) for language in LANGUAGES]
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=count_of, nargs="+", default=default, metavar="LANG=N", help="training lines")
    parser.add_argument("--topic-language", choices=LANGUAGES, default="swa", help="language of the labels")
    parser.add_argument("--topic-lines", type=int, default=2000, help="labelled training documents (0: none)")
    parser.add_argument("--labelled-lines", type=int, default=0, help="examples of tags, pairs and questions each")
    parser.add_argument("--parallel-lines", type=int, default=0, help="documents to write in all languages")
    return parser.parse_args()


def main() -> None:
    """Write what the command line asks for."""
    arguments, lexicon = parse_arguments(), load()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for language, lines in dict(arguments.lines).items():
        stream = unique(lexicon, language, arguments.seed)
        write_language(arguments.output, stream, language, lines)
        if language == arguments.topic_language and arguments.topic_lines:
            write_topics(arguments.output, stream, language, arguments.topic_lines)
    if arguments.labelled_lines:
        write_labelled(arguments.output, lexicon, arguments.seed, arguments.labelled_lines)
    if arguments.parallel_lines:
        write_parallel(arguments.output, lexicon, arguments.seed, arguments.parallel_lines)


if __name__ == "__main__":
    main()
