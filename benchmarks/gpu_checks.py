"""The checks of `scripts/gpu`: what the GPU computes against what the CPU computes, on the embedded sample."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from focus_cli.main import main as focus
from focus_export.providers import CUDA
from focus_export.runtime import Predictor
from gpu_results import Job, Place, Row
from measure import run
from steps import counts

from focus_plugin.checkpoint.release import RELEASE_MODEL
from focus_plugin.files import whole_directory

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "sample" / "source"
METHODS = ("focus", "clp", "omp")  # of those that compute on --device, the ones that need no other files
# Largest differences, relative to values larger than one.
CONVERSION, FLOAT32 = 1e-5, 1e-4
PRECISIONS = {"fp16": 1e-2, "bf16": 1e-1}
TRAINING = 0.01  # of the loss
UPDATES = 20


def command(*words: object) -> None:
    """One of our commands in this process, which is quicker than a new one."""
    focus.main(args=[*map(str, words), "--quiet"], prog_name="focus", standalone_mode=False)


def sample(place: Place) -> Path:
    """A directory with text, tables, vocabulary, data and an encoder of the sample's language."""
    directory = place.work / "sample"
    if not directory.exists():
        with whole_directory(directory) as new:
            lines, labelled, size = (300, 200, 600) if place.small else (10_000, 2_000, 2_500)
            sizes = ("--seed", "1", "--lines", f"swa={lines}", "--topic-lines", str(labelled))
            program: list[str | Path] = [sys.executable, ROOT / "sample" / "generate.py", "--output", new / "text"]
            subprocess.run([*program, *sizes], check=True)
            train, valid = new / "text" / "swa.train.txt", new / "text" / "swa.valid.txt"
            command("vocab", "--input", train, "--size", size, "--output", new / "vocab")
            prepared = ("--vocab", new / "vocab", "--train", train, "--valid", valid)
            command("prepare", *prepared, "--output", new / "data")
            command("convert", *conversion(new), "--output", new / "encoder")
    return directory


def conversion(directory: Path) -> tuple[object, ...]:
    """The inputs of a conversion."""
    return "--source", SOURCE, "--vocab", directory / "vocab", "--corpus", directory / "text" / "swa.train.txt"


def difference(wanted: np.ndarray, found: np.ndarray) -> float:
    """The largest difference, relative to values larger than one; infinite if there is a NaN."""
    largest = float(np.max(np.abs(wanted - found) / np.maximum(1, np.abs(wanted))))
    return largest if largest == largest else float("inf")


def row(check: str, found: float, limit: float) -> Row:
    """A row of the table of checks: ``found`` may be at most ``limit``."""
    return {"check": check, "found": found, "limit": limit, "holds": found <= limit}


def conversions(place: Place) -> Iterator[Row]:
    """Every tensor of a conversion on the GPU against that on the CPU."""
    directory = sample(place)
    for method in METHODS[:1] if place.small else METHODS:
        states: list[dict[str, torch.Tensor]] = []
        for device in ("cpu", place.device):
            output = place.work / "conversions" / f"{method}.{device}.{len(states)}"
            command("convert", *conversion(directory), "--method", method, "--device", device, "--output", output)
            states.append(torch.load(output / RELEASE_MODEL, weights_only=True)["model"])
        pairs = ((states[0][name].numpy(), states[1][name].numpy()) for name in states[0])
        yield row(f"conversion by {method}, rows and biases", max(difference(*pair) for pair in pairs), CONVERSION)


def trainings(place: Place) -> Iterator[Row]:
    """The validation loss after some updates in half precision against that in float32 on the CPU."""
    directory = sample(place)
    on_cpu = {"float32": ("--cpu", "--", "--cpu-precision", "float32")}
    half = {"bf16": ("--", "--bf16"), "fp16": ("--", "--fp16")}
    ways = on_cpu | (half if place.device == "cuda" else {"bfloat16": ("--", "--cpu-precision", "bfloat16")})
    losses = {}
    for name, words in ways.items():
        output = place.work / "trainings" / name
        sizes = ("--batch-tokens", 2048, "--device-tokens", 2048)
        schedule = ("--updates", UPDATES, "--validate-every", UPDATES // 2, *sizes)
        started = ("train", directory / "data", "--init", directory / "encoder", "--output", output, "--quiet")
        focus.main(args=[*map(str, (*started, *schedule, *words))], prog_name="focus", standalone_mode=False)
        losses[name] = list(counts(output)["valid_loss_nats"].values())
    wanted = losses["float32"][-1]
    for name, (before, *_, after) in losses.items():
        yield row(f"training in {name}: loss after {UPDATES} updates, divided by that after half", after / before, 1.0)
        if name != "float32":
            found = abs(after - wanted) / wanted
            yield row(f"training in {name}: difference of the loss to the CPU's in float32", found, TRAINING)


def exports(place: Place) -> Iterator[Row]:
    """Every embedding of the validation text by exports in each precision on the GPU against float32 on the CPU."""
    directory = sample(place)
    valid = directory / "text" / "swa.valid.txt"
    texts = valid.read_text(encoding="utf-8").splitlines()
    wanted = None
    for precision, limit in {"fp32": FLOAT32, **PRECISIONS}.items():
        output = place.work / "exports" / precision
        measured = () if precision == "fp32" else ("--precision", precision, "--valid", valid, "--max-loss", 1)
        command("export", "--onnx", "--model", directory / "encoder", *measured, "--output", output)
        if wanted is None:
            wanted = Predictor(output, provider="cpu", truncate=True).rows(texts)
        if precision == "bf16" and place.device == "cpu":
            continue  # the CPU provider has no operators for it
        found = Predictor(output, provider=place.device, truncate=True).rows(texts)
        yield row(f"{len(texts):,} embeddings by the export in {precision}", difference(wanted, found), limit)


def finetunings(place: Place) -> Iterator[Row]:
    """A classifier trained on the GPU against one on the CPU, and its predictions by `focus predict`."""
    directory = sample(place)
    table = directory / "text" / "topic.swa.{}.tsv"
    tables = [word for part in ("train", "valid") for word in (f"--{part}", str(table).format(part))]
    accuracy = {}
    for device in ("cpu", "cuda")[: 1 + (place.device == "cuda")]:
        output = place.work / "classifiers" / device
        options = ["--epochs", "2", "--lr", "5e-4", "--truncate", *(["--cpu"] if device == "cpu" else [])]
        command("finetune", "classification", "--model", directory / "encoder", *tables, *options, "--output", output)
        accuracy[device] = counts(output)["valid_accuracy"]
    if place.device == "cuda":
        yield row("classifier: accuracy lost by training on the GPU", accuracy["cpu"] - accuracy["cuda"], 0.03)
    exported, text = place.work / "classifiers" / "onnx", directory / "text" / "swa.valid.txt"
    command("export", "--onnx", "--model", output, "--output", exported)
    labels: list[list[str]] = []
    for provider in ("cpu", place.device):
        predicted = place.work / "classifiers" / f"{provider}.{len(labels)}.txt"
        predicted.unlink(missing_ok=True)
        where = ("--provider", provider, *(["--require-gpu"] if provider == "cuda" else []))
        files = ("--model", exported, "--input", text, "--output", predicted, "--truncate")
        run("focus", "predict", *files, *where)
        labels.append(predicted.read_text(encoding="utf-8").splitlines())
    changed = sum(one != other for one, other in zip(*labels, strict=True))
    yield row(f"labels of {len(labels[0]):,} texts by focus predict that are not the CPU's", changed, 0)


def kernels(place: Place) -> Iterator[Row]:
    """Every operator of small exports of each head and precision runs on the GPU: tests/cuda/check.py."""
    if CUDA not in onnxruntime.get_available_providers() or place.device == "cpu":
        return
    directory, tests = place.work / "small", ROOT / "tests"
    support = {**os.environ, "PYTHONPATH": str(tests / "support")}
    subprocess.run([sys.executable, tests / "cuda" / "exports.py", directory], check=True, env=support)
    subprocess.run([sys.executable, tests / "cuda" / "check.py", directory], check=True)
    yield row("small exports with an operator that does not run on the GPU", 0, 0)


CHECKS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "conversions": conversions,
    "trainings": trainings,
    "exports": exports,
    "finetunings": finetunings,
    "kernels": kernels,
}
JOBS = [Job(name, "Checks", check) for name, check in CHECKS.items()]
