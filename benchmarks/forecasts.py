"""The forecast of each command against the command itself.

    python benchmarks/forecasts.py --text swa.train.txt --valid swa.valid.txt --table swa.tsv --source DIR --work DIR

`--source` is an encoder in fairseq's release layout. `--table` has the columns label and text. Every command runs with
a thirty-second and with an eighth of the lines (`--shares`): first with `--dry-run`, and right after that in earnest.
Subdirectories of `--work` are removed first. Prints Markdown: what was measured, and beside it the forecast as a
multiple of that. Memory and disk are peaks.
"""

import argparse
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from arguments import program_parser
from measure import Usage, run_beside

SECONDS = {"s": 1, "min": 60, "h": 3600, "days": 86_400}
UNITS = {"MB": 1_000_000, "GB": 1_000_000_000}
MB = 1_000_000


def cut(source: Path, target: Path, share: float, header: int = 0) -> Path:
    """The header and the first ``share`` of the other lines of ``source``."""
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    count = header + max(1, int(share * (len(lines) - header)))
    target.write_text("".join(lines[:count]), encoding="utf-8")
    return target


def commands(given: argparse.Namespace, work: Path, share: float) -> Iterator[tuple[object, ...]]:
    """Each command; what it reads has been made by those before it."""
    text, valid = cut(given.text, work / "text", share), cut(given.valid, work / "valid", share)
    table = cut(given.table, work / "table.tsv", share, header=1)
    source = ("--model", given.source)
    yield "vocab", "--input", text, "--size", int(32_000 * share**0.5), "--output", work / "vocab"
    yield "auxiliary", "--corpus", text, "--vocab", work / "vocab", "--output", work / "vectors.safetensors"
    yield (
        *("convert", "--source", given.source, "--vocab", work / "vocab", "--corpus", text),
        *("--output", work / "converted"),
    )
    yield (
        *("prepare", "--vocab", work / "converted", "--train", text, "--valid", valid),
        *("--output", work / "data"),
    )
    yield (
        *("train", work / "data", "--init", work / "converted", "--cpu", "--updates", int(160 * share)),
        *("--batch-tokens", 4096, "--device-tokens", 4096, "--output", work / "trained"),
    )
    yield "evaluate", work / "data", "--model", work / "converted", "--cpu"
    yield (
        *("finetune", "classification", *source, "--train", table, "--valid", table, "--truncate", "--cpu"),
        *("--epochs", 1, "--batch-size", 8, "--output", work / "finetuned"),
    )
    yield "evaluate", "--model", work / "finetuned", "--table", table, "--truncate", "--cpu"
    yield "export", "--hf", "--model", work / "finetuned", "--output", work / "finetuned.hf"
    yield "export", "--onnx", "--model", work / "finetuned", "--output", work / "finetuned.onnx"
    yield (
        *("predict", "--model", work / "finetuned.onnx", "--input", valid, "--truncate"),
        *("--output", work / "predictions.jsonl"),
    )


def forecast(*command: object) -> Usage:
    """The totals that the command says with ``--dry-run``."""
    words = [f"{sysconfig.get_path('scripts')}/focus", *map(str, command), "--dry-run"]
    total = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-2]
    seconds = re.search(r"(?:About|At least) ([\d.]+) (\w+)", total)
    memory, disk = re.search(r"([\d.]+) (MB|GB) of memory", total), re.search(r"([\d.]+) (MB|GB) on the disk", total)
    assert seconds
    assert memory
    return Usage(
        seconds=float(seconds[1]) * SECONDS[seconds[2]],
        memory=int(float(memory[1]) * UNITS[memory[2]]),
        disk=int(float(disk[1]) * UNITS[disk[2]]) if disk else 0,
    )


def name(command: tuple[object, ...]) -> str:
    """What the table calls a command."""
    words = [str(word) for word in command]
    form = next((word for word in words if word in ("--hf", "--onnx", "--table")), "")
    return " ".join(filter(None, ("focus", words[0], form)))


def row(label: str, share: float, said: Usage, measured: Usage) -> str:
    """A row of the table; no multiple of a disk that was hardly used."""
    disk = f"{said.disk / measured.disk:.2f}" if measured.disk >= MB else ""
    return (
        f"| `{label}` | {share:g} | {measured.seconds:.0f} s | {said.seconds / measured.seconds:.2f} | "
        f"{measured.memory / MB:,.0f} MB | {said.memory / measured.memory:.2f} | "
        f"{measured.disk / MB:,.0f} MB | {disk} |"
    )


def main() -> None:
    """Measure and print."""
    parser = program_parser(__doc__, "text", "valid", "table", "source", "work")
    parser.add_argument("--shares", type=float, nargs="+", default=[1 / 32, 1 / 8])
    given = parser.parse_args()
    print("| command | share of the text | time | forecast | memory | forecast | disk | forecast |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for share in given.shares:
        work = given.work / f"{share:g}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        os.environ["FOCUS_CACHE"] = str(work / "cache")
        for command in commands(given, work, share):
            said = forecast(*command)
            measured = run_beside(work, "focus", *command)
            print(row(name(command), share, said, measured), flush=True)


if __name__ == "__main__":
    main()
