"""The systems that training.py compares: each run of this file is one short training on the CPU.

    python training_systems.py SYSTEM SHAPE LENGTH UPDATES DATA

SYSTEM is a key of SYSTEMS, SHAPE one of SHAPES, LENGTH the tokens of a sample. DATA was made by `focus prepare`. The
last line of the output is JSON: seconds of an update and the peak of memory in bytes. Weights are random.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import torch

SHAPES = {"source-mini": (4, 256, 1024, 4), "12 x 768": (12, 768, 3072, 12)}  # layers, width, feed-forward, heads
BATCH_TOKENS, PREDICTED, SETTLING = 4096, 0.15, 3


@dataclass(frozen=True)
class Run:
    """layers, width, feedforward, heads: of the encoder. length: tokens of a sample. updates: after SETTLING others."""

    shape: tuple[int, int, int, int]
    length: int
    updates: int
    data: Path

    @property
    def steps(self) -> int:
        """Updates in all."""
        return SETTLING + self.updates


def between(moments: list[float]) -> float:
    """Seconds from one update to the next, without the first ones."""
    return median(np.diff(moments[SETTLING:]))


def by_fairseq(run: Run, *options: str) -> float:
    """fairseq-train in this process, with ``options`` besides those that both systems have."""
    from fairseq import trainer
    from fairseq_cli.train import cli_main

    step, moments = trainer.Trainer.train_step, []

    def timed(self: object, *given: object, **named: object) -> object:
        moments.append(time.perf_counter())
        return step(self, *given, **named)

    trainer.Trainer.train_step = timed
    layers, width, inner, heads = map(str, run.shape)
    sys.argv[1:] = [
        *(str(run.data), "--cpu", "--distributed-world-size", "1", "--disable-validation", "--no-save"),
        *("--encoder-layers", layers, "--encoder-embed-dim", width, "--encoder-ffn-embed-dim", inner),
        *("--encoder-attention-heads", heads, "--max-positions", "512", "--tokens-per-sample", str(run.length)),
        *("--sample-break-mode", "none", "--max-tokens", str(BATCH_TOKENS), "--mask-prob", str(PREDICTED)),
        *("--dropout", "0", "--attention-dropout", "0", "--lr", "1e-4", "--lr-scheduler", "fixed"),
        *("--clip-norm", "1.0", "--max-update", str(run.steps + 1), "--log-format", "none", *options),
    ]
    cli_main()
    return between(moments)


def ours(run: Run, precision: str) -> float:
    """fairseq-train with the model, the task and the optimizer of `focus train`."""
    spec = find_spec("focus_plugin")  # fairseq imports its tasks only if it was not imported before
    assert spec
    assert spec.origin
    user_dir = str(Path(spec.origin).parent)
    task = ("--user-dir", user_dir, "--task", "focus_masked_lm", "--criterion", "masked_lm", "--arch", "focus_roberta")
    return by_fairseq(run, *task, "--optimizer", "focus_adam", "--cpu-precision", precision)


def fairseq(run: Run, autocast: bool) -> float:
    """fairseq's own model and optimizer, with the same two precisions."""
    from fairseq.models.roberta import RobertaModel

    torch.set_float32_matmul_precision("highest" if autocast else "medium")
    forward = RobertaModel.forward

    def rounded(self: object, *given: object, **named: object) -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return forward(self, *given, **named)

    RobertaModel.forward = rounded
    task = ("--task", "masked_lm", "--criterion", "masked_lm", "--arch", "roberta_base", "--optimizer", "adam")
    return by_fairseq(run, *task)


def transformers(run: Run, autocast: bool) -> float:
    """transformers' Trainer with its fused attention and its fused AdamW; with the same two precisions."""
    from transformers import Trainer, TrainerCallback, TrainingArguments, XLMRobertaConfig, XLMRobertaForMaskedLM

    from focus_plugin.binary_data import read_dataset
    from focus_plugin.vocabulary.readers import read_dictionary

    torch.set_float32_matmul_precision("highest" if autocast else "medium")
    tokens, rows = read_dataset(run.data / "train"), len(read_dictionary(run.data / "dict.txt"))
    samples = [
        torch.from_numpy(part.astype(np.int64)) for part in np.split(tokens, range(run.length, len(tokens), run.length))
    ]
    samples = [sample for sample in samples if len(sample) == run.length]
    layers, width, inner, heads = run.shape
    config = XLMRobertaConfig(
        vocab_size=rows,
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_attention_heads=heads,
        max_position_embeddings=514,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",
    )

    def collate(chosen: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        ids = torch.stack(chosen)
        predicted = torch.rand(ids.shape) < PREDICTED
        labels = torch.where(predicted, ids, -100)
        return {"input_ids": torch.where(predicted, rows - 1, ids), "labels": labels}

    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *given: object, **named: object) -> None:
            moments.append(time.perf_counter())

    arguments = TrainingArguments(
        output_dir="/tmp/unused",
        per_device_train_batch_size=BATCH_TOKENS // run.length,
        max_steps=run.steps + 1,
        bf16=autocast,
        use_cpu=True,
        optim="adamw_torch_fused",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    model = XLMRobertaForMaskedLM(config)
    Trainer(model, arguments, collate, samples, callbacks=[Clock()]).train()
    return between(moments)


SYSTEMS: dict[str, Callable[[Run], float]] = {
    "ours": partial(ours, precision="bfloat16"),
    "fairseq": partial(fairseq, autocast=True),
    "Trainer": partial(transformers, autocast=True),
    "ours, bfloat16 in products only": partial(ours, precision="products"),
    "fairseq, likewise": partial(fairseq, autocast=False),
    "Trainer, likewise": partial(transformers, autocast=False),
}


def main() -> None:
    """Run one system."""
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    system, shape, length, updates, data = sys.argv[1:]
    seconds = SYSTEMS[system](Run(SHAPES[shape], int(length), int(updates), Path(data)))
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "memory": memory}), flush=True)


if __name__ == "__main__":
    main()
