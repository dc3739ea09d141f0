"""How text is cut by an extended vocabulary: in the language it was extended by, and in others.

    python benchmarks/extension.py --text DIR --source DIR --work DIR --languages swa xho --others eng fra

`--text` has LANG.train.txt and LANG.valid.txt. Prints, for each language, the tokens per word of its validation text
under the source's tokenizer, one of the language alone, and the extended one; and for each other language the share of
tokens of its validation text that are new pieces.
"""

from arguments import program_parser
from steps import VOCABULARY, run

from focus_plugin.files import read_lines
from focus_plugin.vocabulary.encoding import encoded_length
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer

MODEL = "sentencepiece.bpe.model"


def main() -> None:
    """Extend, and count."""
    parser = program_parser(__doc__, "text", "source", "work")
    for name in ("languages", "others"):
        parser.add_argument(f"--{name}", nargs="+", required=True)
    arguments = parser.parse_args()
    known = set(read_dictionary(arguments.source / "dict.txt").tokens)
    for language in arguments.languages:
        work, text = arguments.work / language, arguments.text / f"{language}.train.txt"
        run("focus", "vocab", "--input", text, "--size", VOCABULARY, "--output", work / "vocab")
        base = ("--source", arguments.source, "--vocab", work / "vocab", "--method", "random", "--extend")
        run("focus", "convert", *base, "--output", work / "extended")
        directories = (arguments.source, work / "vocab", work / "extended")
        tokenizers = [load_tokenizer(directory / MODEL) for directory in directories]
        valid = list(read_lines(arguments.text / f"{language}.valid.txt"))
        lengths = (f"{encoded_length(valid, tokenizer).tokens_per_word:.2f}" for tokenizer in tokenizers)
        print(f"{language}: tokens per word {' / '.join(lengths)} (source / language alone / extended)")
        for other in arguments.others:
            lines = list(read_lines(arguments.text / f"{other}.valid.txt"))
            tokens = [tokenizers[2].tokens[i] for ids in tokenizers[2].ids(lines) for i in ids]
            print(f"  {other}: {sum(token not in known for token in tokens) / len(tokens):.1%} of its tokens are new")


if __name__ == "__main__":
    main()
