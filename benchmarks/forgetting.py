"""What an encoder with an extended vocabulary forgets: its loss in other languages, before and after a short training.

    python benchmarks/forgetting.py --text DIR --source DIR --work DIR --language swa --others eng yor --updates 50

`--text` has LANG.train.txt and LANG.valid.txt. The source's vocabulary is extended by FOCUS for `--language`, and the
encoder is trained on its text by the default recipe. Prints Markdown: for the validation text of each language, tokens
per word under both vocabularies, and the masked-LM loss in nats per token of the source, of the extended encoder, and
after the training. The last column is after the same training of the source, with its own vocabulary.
"""

import argparse
from pathlib import Path

from arguments import program_parser
from steps import VOCABULARY, loss, run, trained

from focus_plugin.files import read_lines
from focus_plugin.vocabulary.encoding import encoded_length
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.tokenizers import load_tokenizer


def prepared(arguments: argparse.Namespace, encoder: Path, language: str, name: str) -> Path:
    """The text of a language with the vocabulary of ``encoder``."""
    output = arguments.work / "data" / f"{language}.{name}"
    train, valid = (arguments.text / f"{language}.{part}.txt" for part in ("train", "valid"))
    run("focus", "prepare", "--vocab", encoder, "--train", train, "--valid", valid, "--output", output)
    return output


def main() -> None:
    """Extend, train, and measure every language."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--language", required=True)
    parser.add_argument("--others", nargs="+", required=True)
    parser.add_argument("--updates", type=int, default=50)
    arguments = parser.parse_args()
    source, extended = arguments.source, arguments.work / "extended"
    text = arguments.text / f"{arguments.language}.train.txt"
    run("focus", "vocab", "--input", text, "--size", VOCABULARY, "--output", arguments.work / "vocab")
    given = ("--source", source, "--vocab", arguments.work / "vocab", "--corpus", text, "--extend")
    run("focus", "convert", *given, "--output", extended)
    languages = [arguments.language, *arguments.others]
    encoders = {"source": source, "extended": extended}
    data = {name: {each: prepared(arguments, encoders[name], each, name) for each in languages} for name in encoders}
    after = {
        name: trained(data[name][arguments.language], encoder, arguments.work / f"{name}.trained", arguments.updates)
        for name, encoder in encoders.items()
    }
    print(
        "| language | tokens per word, source / extended | source | extended | extended, trained | source, trained |\n"
        "|---|---:|---:|---:|---:|---:|"
    )
    for language in languages:
        lines = list(read_lines(arguments.text / f"{language}.valid.txt"))
        tokenizers = [load_tokenizer(vocabulary_files(encoder)[1]) for encoder in encoders.values()]
        lengths = " / ".join(f"{encoded_length(lines, tokenizer).tokens_per_word:.2f}" for tokenizer in tokenizers)
        of_source, of_extended = data["source"][language], data["extended"][language]
        measured = ((of_source, source), (of_extended, extended), (of_extended, after["extended"]))
        losses = [loss(*pair) for pair in (*measured, (of_source, after["source"]))]
        print(f"| {language} | {lengths} | {' | '.join(f'{found:.3f}' for found in losses)} |", flush=True)


if __name__ == "__main__":
    main()
