"""The table of docs/results.md on auxiliary embeddings: what the start costs and is worth, by trainer and text.

    python benchmarks/vectors.py --text DIR --source DIR --work DIR --languages swa xho amh --megabytes 0.5 2 1000

`--text` has LANG.train.txt and LANG.valid.txt; vocabulary and validation data are the same for every row of a language,
and of its training text a sample of so many megabytes is drawn for the vectors. The authors' package is given the same
sample, both tokenizers and the source embedding, and trains its fastText itself; all else of its start is as they leave
it: the output bias as resizing a model does. With `--updates`, every start from the largest sample is trained, too.
Seconds and memory are those of the whole command, from raw text to a release on disk. Prints Markdown, a row as soon as
it is known. Of what is in `--work` already, vocabularies and data are used again.
"""

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from arguments import program_parser
from measure import run as measured
from steps import LENGTH, RECIPE, counts, loss, prepared, run

AUTHORS = "authors' package"
TRAINERS: dict[str, tuple[object, ...]] = {
    "neighbors": (),
    "fasttext": ("--trainer", "fasttext", "--dim", 300),
    "paper": ("--paper",),
}
SCHEDULE = ("--lr", "5e-4", *RECIPE)


def sample(text: Path, megabytes: float, output: Path) -> Path:
    """Write lines of ``text``, drawn at random, of so many megabytes; all of them if it has less."""
    lines = text.read_bytes().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    size = 0
    with open(output, "wb") as file:
        for line in lines:
            size += len(line)
            if size > megabytes * 1e6:
                break
            file.write(line)
    return output


def authors(source: Path, vocabulary: Path, text: Path, output: Path, processes: int = 1) -> None:
    """A release whose embedding is that of the authors' package, trained on ``text``, with all else as it leaves it."""
    os.environ["XDG_CACHE_HOME"] = str(output.parent / "cache")  # it keeps vectors there by the name of the text
    shutil.rmtree(output.parent / "cache", ignore_errors=True)
    import torch
    from deepfocus import FOCUS
    from transformers import XLMRobertaTokenizer

    from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
    from focus_plugin.checkpoint.read import read_checkpoint
    from focus_plugin.checkpoint.release import write_release
    from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE, vocabulary_files
    from focus_plugin.vocabulary.readers import load_sentencepiece, read_dictionary

    def tokenizer(directory: Path) -> XLMRobertaTokenizer:
        """transformers' tokenizer with the tokens of a dictionary and the scores of its SentencePiece model."""
        pieces = load_sentencepiece(directory / SENTENCEPIECE)
        scores = {pieces.id_to_piece(i): pieces.get_score(i) for i in range(len(pieces))}
        tokens = read_dictionary(directory / DICTIONARY).tokens
        return XLMRobertaTokenizer(vocab=[(token, scores.get(token, 0.0)) for token in tokens])

    checkpoint = read_checkpoint(source)
    old, new = tokenizer(source), tokenizer(vocabulary)
    rows = FOCUS(new, old, checkpoint.tensors[EMBEDDING], target_training_data_path=str(text), processes=processes)
    bias = checkpoint.tensors[OUTPUT_BIAS][: len(rows)]
    bias = torch.nn.functional.pad(bias, (0, len(rows) - len(bias)))
    output.mkdir(parents=True)
    tensors = {**checkpoint.tensors, EMBEDDING: rows, OUTPUT_EMBEDDING: rows, OUTPUT_BIAS: bias}
    write_release(output, checkpoint.config, tensors, *vocabulary_files(vocabulary))


def in_a_process(work: Callable[..., None], *arguments: object) -> tuple[float, int]:
    """Seconds that ``work`` takes in a process of its own, and that process's peak memory in bytes."""
    context = multiprocessing.get_context("spawn")
    peak = context.Value("q", 0)
    start = time.perf_counter()
    process = context.Process(target=_noting_peak, args=(work, peak, *arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} failed")
    return time.perf_counter() - start, peak.value


def _noting_peak(work: Callable[..., None], peak: Synchronized, *arguments: object) -> None:
    work(*arguments)
    peak.value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rows(arguments: argparse.Namespace, language: str) -> None:
    """Print the rows of a language."""
    work = arguments.work / language
    train, vocabulary, data = prepared(arguments.text, language, work), work / "vocab", work / "data"
    for megabytes in arguments.megabytes:
        text = sample(train, megabytes, work / "sample.txt")
        for name in arguments.trainers:
            start = work / "start"
            shutil.rmtree(start, ignore_errors=True)
            base = ("focus", "convert", "--source", arguments.source, "--vocab", vocabulary, "--corpus", text)
            if name == AUTHORS:
                seconds, peak = in_a_process(authors, arguments.source, vocabulary, text, start)
            else:
                seconds, peak = measured(*base, *TRAINERS[name], "--output", start)
            cells = [language, f"{text.stat().st_size / 1e6:.1f}", name, f"{seconds:.0f}", f"{peak / 1e9:.1f}"]
            cells += [f"{counts(start)['mean_support']:.0f}" if name != AUTHORS else "", f"{loss(data, start):.3f}"]
            if arguments.updates and megabytes == arguments.megabytes[-1]:
                cells.append(f"{trained(data, start, arguments.updates):.3f}")
            print("| " + " | ".join(cells) + " |", flush=True)


def trained(data: Path, start: Path, updates: int) -> float:
    """The loss after so many updates."""
    output = Path(f"{start}.trained")
    shutil.rmtree(output, ignore_errors=True)
    job = ("focus", "train", data, "--init", start, "--output", output, "--updates", updates, *SCHEDULE)
    run(*job, "--validate-every", updates, "--", "--tokens-per-sample", LENGTH)
    return loss(data, output)


def main() -> None:
    """Measure and print."""
    parser = program_parser(__doc__, "text", "source", "work")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--megabytes", nargs="+", type=float, required=True, help="the largest last")
    parser.add_argument("--trainers", nargs="+", choices=[*TRAINERS, AUTHORS], default=[*TRAINERS, AUTHORS])
    parser.add_argument("--updates", type=int, default=0)
    arguments = parser.parse_args()
    for language in arguments.languages:
        rows(arguments, language)


if __name__ == "__main__":
    main()
