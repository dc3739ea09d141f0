"""What a factorized embedding costs and saves: size and masked-LM loss of `--method ofa` with several factors.

    python benchmarks/factors.py --text DIR --source DIR --work DIR --languages eng swa --factors 0 128 64 32 16

`--text` has LANG.train.txt, and LANG.valid.txt of the target, which is the last language. The word vectors are those of
fastText (skip-gram, 100 dimensions) for the training texts of all languages together, so only words that languages
share bring them into one space. Prints Markdown: numbers in the embedding with its projection, megabytes of `model.pt`,
and the loss before any training; 0 factors: not factorized.
"""

import argparse
from pathlib import Path

import fasttext
from starts import loss
from targets import run

from focus_plugin.checkpoint.names import EMBEDDING, PROJECTION
from focus_plugin.checkpoint.read import read_checkpoint


def word_vectors(texts: list[Path], work: Path) -> Path:
    """The vectors of the words of ``texts``, in fastText's text format."""
    output, together = work / "words.vec", work / "together.txt"
    if not output.exists():
        together.write_bytes(b"".join(text.read_bytes() for text in texts))
        model = fasttext.train_unsupervised(str(together), model="skipgram", dim=100, thread=1, verbose=0)
        words = model.get_words()
        rows = (f"{word} {' '.join(f'{value:.5g}' for value in model.get_word_vector(word))}\n" for word in words)
        output.write_text(f"{len(words)} 100\n{''.join(rows)}", encoding="utf-8")
    return output


def main() -> None:
    """Convert with every number of factors, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("text", "source", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--factors", nargs="+", type=int, required=True)
    arguments = parser.parse_args()
    work, target = arguments.work, arguments.languages[-1]
    work.mkdir(parents=True, exist_ok=True)
    words = word_vectors([arguments.text / f"{language}.train.txt" for language in arguments.languages], work)
    train, valid = (arguments.text / f"{target}.{part}.txt" for part in ("train", "valid"))
    run([], "focus", "vocab", "--input", train, "--size", 16_000, "--output", work / "vocab")
    texts = ("--train", train, "--valid", valid)
    run([], "focus", "prepare", "--vocab", work / "vocab", *texts, "--output", work / "data")
    print("| factors | numbers in the embedding | MB of model.pt | loss |\n|---:|---:|---:|---:|")
    for factors in arguments.factors:
        output = work / f"ofa.{factors}"
        given = ("--source", arguments.source, "--vocab", work / "vocab", "--corpus", train, "--method", "ofa")
        options = ("--multilingual-vectors", words, "--factors", factors, "--output", output)
        run([], "focus", "convert", *given, *options)
        tensors = read_checkpoint(output).tensors
        numbers = sum(tensors[name].numel() for name in (EMBEDDING, PROJECTION) if name in tensors)
        size = (output / "model.pt").stat().st_size / 1e6
        print(f"| {factors} | {numbers:,} | {size:.1f} | {loss([], work / 'data', output):.3f} |", flush=True)


if __name__ == "__main__":
    main()
