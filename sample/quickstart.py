"""The main job on the embedded sample: every command as a user gives it, then one table of what they found.

Everything is made in the directory `quickstart`; what is there already is used again.
"""

import json
import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

HERE = Path(__file__).parent
WORK = Path("quickstart")
SOURCE = HERE / "source"
TEXT = WORK / "text"
LINES = ("--lines", "swa=10000", "--labelled-lines", 1000)
TRAINING = ("--updates", 300, "--batch-tokens", 4096, "--device-tokens", 4096, "--validate-every", 100)


def run(*command: object) -> str:
    """Show a command, run it with its progress visible, and return what it said."""
    words = [str(word) for word in command]
    print(f"\n$ {' '.join(words)}", flush=True)
    program = sys.executable if words[0] == "python" else f"{sysconfig.get_path('scripts')}/{words[0]}"
    told = []
    with subprocess.Popen([program, *words[1:]], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            told.append(line)
    if process.returncode:
        sys.exit(process.returncode)
    return "".join(told)


def counts(directory: Path) -> dict:
    """What a command found on its way, from the manifest it left."""
    return json.loads((directory / "focus.json").read_text(encoding="utf-8"))["counts"]


def loss(model: Path) -> float:
    """Masked-LM loss on the held-out Swahili text, in nats."""
    told = run("focus", "evaluate", WORK / "data", "--model", model)
    return float(re.search(r"loss ([\d.]+) nats", told)[1])


def finetune(task: str, name: str, tables: str, *options: object, epochs: int = 4) -> None:
    """Fine-tune the encoder from FOCUS on ``tables``, a pattern of the split, and export it."""
    splits = [word for split in ("train", "valid") for word in (f"--{split}", TEXT / tables.format(split))]
    job = ("--model", WORK / "focus.trained", *splits, "--epochs", epochs, "--lr", "5e-4", "--output", WORK / name)
    run("focus", "finetune", task, *job, *options)
    run("focus", "export", "--onnx", "--model", WORK / name, "--output", WORK / f"{name}.onnx")


def predict(name: str, texts: Path, *options: object) -> str:
    """Predict a file of texts; the number of texts a second."""
    output = WORK / f"{name}.jsonl"
    output.unlink(missing_ok=True)
    job = ("--model", WORK / f"{name}.onnx", "--input", texts, "--output", output)
    return re.search(r"(\d+) texts a second", run("focus", "predict", *job, *options))[1]


def main() -> None:
    """Run the job and print the table."""
    start = time.monotonic()
    if not TEXT.exists():
        run("python", HERE / "generate.py", "--output", WORK / "text.new", "--seed", 1, *LINES)
        (WORK / "text.new").rename(TEXT)
    train, valid = TEXT / "swa.train.txt", TEXT / "swa.valid.txt"
    run("focus", "vocab", "--input", train, "--size", 2500, "--output", WORK / "vocab")
    common = ("--source", SOURCE, "--vocab", WORK / "vocab", "--corpus", train)
    run("focus", "convert", *common, "--dim", 100, "--output", WORK / "focus")
    run("focus", "convert", *common, "--method", "random", "--output", WORK / "random")
    run("focus", "prepare", "--vocab", WORK / "vocab", "--train", train, "--valid", valid, "--output", WORK / "data")
    losses = {}
    for method in ("random", "focus"):
        losses[method] = loss(WORK / method)
        trained = WORK / f"{method}.trained"
        run("focus", "train", WORK / "data", "--init", WORK / method, "--output", trained, *TRAINING)
        losses[f"{method}.trained"] = loss(trained)
    finetune("classification", "topic", "topic.swa.{}.tsv", "--truncate")
    finetune("pairs", "pairs", "pairs.swa.{}.tsv", "--batch-size", 16)
    finetune("tagging", "names", "tags.swa.{}.conll")
    finetune("questions", "answers", "questions.swa.{}.jsonl", epochs=3)
    rate = predict("topic", train, "--truncate")
    predict("names", valid)
    predict("answers", TEXT / "questions.swa.valid.jsonl")
    show(losses, rate)
    print(f"\nThis took {(time.monotonic() - start) / 60:.1f} minutes. Everything is in {WORK}/.")


def show(losses: dict[str, float], rate: str) -> None:
    """Print the table; every figure was computed in this run or is in the manifest of what it computed."""
    converted, onnx = counts(WORK / "focus"), counts(WORK / "topic.onnx")
    topic, pairs, names, answers = (counts(WORK / name) for name in ("topic", "pairs", "names", "answers"))
    rows = [
        ("tokens per word, before", f"{converted['source_tokens_per_word']:.2f}"),
        ("tokens per word, after", f"{converted['target_tokens_per_word']:.2f}"),
        ("model size, before", f"{converted['source_bytes'] / 1e6:.2f} MB"),
        ("model size, after", f"{converted['target_bytes'] / 1e6:.2f} MB"),
        ("masked-LM loss on held-out Swahili, nats", ""),
        ("  (a) new embeddings at random", f"{losses['random']:.3f}"),
        ("  (b) FOCUS", f"{losses['focus']:.3f}"),
        (f"  (c) FOCUS, after {TRAINING[1]} updates", f"{losses['focus.trained']:.3f}"),
        (f"  (d) random, after {TRAINING[1]} updates", f"{losses['random.trained']:.3f}"),
        ("topic classification, accuracy", f"{100 * topic['valid_accuracy']:.1f} %"),
        ("topic classification, macro-F1", f"{100 * topic['valid_macro_f1']:.1f} %"),
        ("pairs of sentences, accuracy", f"{100 * pairs['valid_accuracy']:.1f} %"),
        ("names of people and places, F1", f"{100 * names['valid_f1']:.1f} %"),
        ("answers to questions, F1", f"{100 * answers['valid_f1']:.1f} %"),
        ("largest difference of ONNX to PyTorch", f"{onnx['largest_difference_to_pytorch']:.1e}"),
        ("texts a second in ONNX Runtime", rate),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n" + "=" * (width + 14))
    for name, value in rows:
        print(f"{name:<{width}}  {value:>12}")
    print("=" * (width + 14))


if __name__ == "__main__":
    main()
