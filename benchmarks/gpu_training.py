"""Training on a GPU: ours, fairseq's own model, and transformers' Trainer, as training.py compares them on a CPU.

Jobs of `scripts/gpu measure`. Masked LM in bfloat16 on random tokens, in full samples without padding, 15 % of the
tokens predicted, no dropout. An update is one batch of BATCH_TOKENS tokens. The GPU finishes each update before the
next one starts, for all systems. fairseq and ours keep the weights in bfloat16, and in float32 for their updates;
Trainer, which needs the package accelerate, has autocast.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from gpu_results import Job, Place, Row
from gpu_serving import peak_found
from training import products
from training_systems import SETTLING

from focus_plugin.files import whole_directory

PROGRAM = Path(__file__).with_name("training_systems.py")
SYSTEMS = ("ours", "fairseq", "Trainer")
LENGTHS, BATCH_TOKENS, UPDATES, ROWS, LINE, END = (512, 128), 32_768, 20, 40_000, 30, 2


def data(place: Place, tokens: int, rows: int) -> Path:
    """Random tokens in fairseq's files, more frequent the lower their id, in lines of LINE tokens."""
    from focus_plugin.binary_data import writing_dataset

    directory = place.work / f"data-{rows}"
    if not directory.exists():
        draw = np.random.default_rng(1)
        with whole_directory(directory) as new:
            words = "".join(f"word{number} 1\n" for number in range(rows - 5))  # and four special tokens, and the mask
            (new / "dict.txt").write_text(f"{words}<mask> 1\n", encoding="utf-8")
            lines = np.full((tokens // LINE + 1, LINE), END)
            lines[:, :-1] = 4 + (rows - 5) * draw.random((len(lines), LINE - 1)) ** 3
            with writing_dataset(new / "train", rows) as dataset:
                dataset.add(lines.ravel(), np.full(len(lines), LINE))
    return directory


def training(place: Place, system: str, length: int) -> Iterator[Row]:
    """Tokens a second, the share of the peak, and memory."""
    shape, batch_tokens, updates, rows = "12 x 768", BATCH_TOKENS, UPDATES, ROWS
    if system == "Trainer" and not find_spec("accelerate"):
        return
    if place.small:
        length //= 32
        shape, batch_tokens, updates, rows = "tiny", 256, 3, 200
    tokens = (SETTLING + updates + 2) * batch_tokens
    words = [system, shape, length, updates, data(place, tokens, rows), batch_tokens]
    done = subprocess.run([sys.executable, PROGRAM, *map(str, words)], check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    share = products(shape, length, rows, batch_tokens) / found["seconds"] / peak_found(place)
    yield {
        "length": length,
        "system": system,
        "tokens a second": round(batch_tokens / found["seconds"]),
        "share of the peak": f"{share:.1%}",
        "peak memory, GB": found["memory"] / 1e9,
    }


JOBS = [
    Job(f"training-{system}-{length}", "Training", partial(training, system=system, length=length))
    for length in LENGTHS
    for system in SYSTEMS
]
