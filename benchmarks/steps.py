"""Steps that several tables have in common: our commands, from the text of a language to the loss of an encoder."""

import json
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

VOCABULARY, LENGTH = 16_000, 128
RECIPE = ("--batch-tokens", 4096, "--device-tokens", 4096)  # the default recipe, with batches for a small machine


def run(*command: object) -> str:
    """Run a command of this environment, show it on standard error, and return what it printed."""
    words = [str(word) for word in command]
    print(f"$ {shlex.join(words)}", file=sys.stderr, flush=True)
    words[0] = f"{sysconfig.get_path('scripts')}/{words[0]}"
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, file=sys.stderr, end="", flush=True)
    return done.stdout


def figure(pattern: str, told: str) -> str:
    """The group of ``pattern`` in ``told``, what a command printed. Stops the program if it is not there."""
    found = re.search(pattern, told)
    if found is None:
        raise SystemExit(f"No {pattern} in this output:\n{told}")
    return found[1]


def counts(directory: Path) -> dict:
    """The figures in a directory's manifest."""
    return json.loads((directory / "focus.json").read_text(encoding="utf-8"))["counts"]


def prepared(text: Path, language: str, work: Path) -> Path:
    """The text of a language, encoded with a vocabulary of its own: ``work/vocab`` and ``work/data``.

    text: directory with LANGUAGE.train.txt and LANGUAGE.valid.txt. Returns the training text.
    """
    train, valid = (text / f"{language}.{part}.txt" for part in ("train", "valid"))
    encode(train, valid, work)
    return train


def encode(train: Path, valid: Path, work: Path, size: int = VOCABULARY) -> Path:
    """``work/data``: two texts, encoded with a vocabulary of ``size`` tokens, ``work/vocab``, of the first one."""
    run("focus", "vocab", "--input", train, "--size", size, "--output", work / "vocab")
    texts = ("--train", train, "--valid", valid)
    run("focus", "prepare", "--vocab", work / "vocab", *texts, "--output", work / "data")
    return work / "data"


def trained(data: Path, start: Path, output: Path, updates: int) -> Path:
    """``output``: the encoder ``start`` after a training by the default recipe."""
    job = ("focus", "train", data, "--init", start, "--output", output, "--updates", updates, *RECIPE)
    run(*job, "--validate-every", updates, "--", "--tokens-per-sample", LENGTH)
    return output


def loss(data: Path, model: Path) -> float:
    """What ``focus evaluate`` says, in nats."""
    told = run("focus", "evaluate", data, "--model", model, "--tokens-per-sample", LENGTH)
    return float(figure(r"loss ([\d.]+) nats", told))
