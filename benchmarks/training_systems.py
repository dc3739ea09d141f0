"""The systems that training.py and gpu_training.py compare: each run of this file is one short training.

    python training_systems.py SYSTEM SHAPE LENGTH UPDATES DATA [BATCH_TOKENS]

SYSTEM is a key of SYSTEMS, SHAPE one of SHAPES, LENGTH the tokens of a sample. DATA was made by `focus prepare`. The
last line of the output is JSON: seconds of an update and the peak of memory in bytes. Weights are random. With
BATCH_TOKENS, an update has as many tokens and runs on a GPU, in bfloat16, if there is one; the memory is then that of
the GPU.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

SHAPES = {  # layers, width, feed-forward, heads
    "source-mini": (4, 256, 1024, 4),
    "12 x 768": (12, 768, 3072, 12),
    "tiny": (2, 32, 64, 4),
}
BATCH_TOKENS, PREDICTED, SETTLING = 4096, 0.15, 3


@dataclass(frozen=True)
class Run:
    """shape: layers, width, feed-forward and heads. length: tokens of a sample. updates: after SETTLING others.

    batch_tokens: of an update. on_gpu: train on the GPU, in bfloat16.
    """

    shape: tuple[int, int, int, int]
    length: int
    updates: int
    data: Path
    batch_tokens: int = BATCH_TOKENS
    on_gpu: bool = False

    @property
    def steps(self) -> int:
        """Updates in all."""
        return SETTLING + self.updates

    def now(self) -> float:
        """Seconds, after all that the GPU has to do."""
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()


def between(moments: list[float]) -> float:
    """Seconds from one update to the next, without the first ones."""
    return median(np.diff(moments[SETTLING:]))


def by_fairseq(run: Run, *options: str) -> float:
    """fairseq-train in this process, with ``options`` besides those that both systems have."""
    from fairseq import trainer
    from fairseq_cli.train import cli_main

    step, moments = trainer.Trainer.train_step, []

    def timed(self: object, *given: object, **named: object) -> object:
        moments.append(run.now())
        return step(self, *given, **named)

    trainer.Trainer.train_step = timed
    layers, width, inner, heads = map(str, run.shape)
    sys.argv[1:] = [
        *(str(run.data), "--bf16" if run.on_gpu else "--cpu"),
        *("--distributed-world-size", "1", "--disable-validation", "--no-save"),
        *("--encoder-layers", layers, "--encoder-embed-dim", width, "--encoder-ffn-embed-dim", inner),
        *("--encoder-attention-heads", heads, "--max-positions", "512", "--tokens-per-sample", str(run.length)),
        *("--sample-break-mode", "none", "--max-tokens", str(run.batch_tokens), "--mask-prob", str(PREDICTED)),
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
    where = ("--fp16-no-flatten-grads",) if run.on_gpu else ("--cpu-precision", precision)  # as focus train does
    return by_fairseq(run, *task, "--optimizer", "focus_adam", *where)


def fairseq(run: Run, autocast: bool) -> float:
    """fairseq's own model and optimizer, with the same two precisions."""
    from fairseq.models.roberta import RobertaModel

    torch.set_float32_matmul_precision("highest" if autocast else "medium")
    forward = RobertaModel.forward

    def rounded(self: object, *given: object, **named: object) -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast and not run.on_gpu):
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
    rows = len(read_dictionary(run.data / "dict.txt"))
    tokens = read_dataset(run.data / "train", rows)
    samples = [
        torch.from_numpy(part.astype(np.int64)) for part in np.split(tokens, range(run.length, len(tokens), run.length))
    ]
    samples = [sample for sample in samples if len(sample) == run.length]
    layers, width, inner, heads = run.shape
    fused: dict[str, Any] = {"attn_implementation": "sdpa"}  # an option of all of its models
    config = XLMRobertaConfig(
        vocab_size=rows,
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_attention_heads=heads,
        max_position_embeddings=514,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **fused,
    )

    def collate(chosen: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """A batch in which all predicted tokens are replaced by the last one, ``<mask>``."""
        ids = torch.stack(chosen)
        predicted = torch.rand(ids.shape) < PREDICTED
        labels = torch.where(predicted, ids, -100)
        return {"input_ids": torch.where(predicted, rows - 1, ids), "labels": labels}

    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *given: object, **named: object) -> None:
            moments.append(run.now())

    arguments = TrainingArguments(
        output_dir="/tmp/unused",
        per_device_train_batch_size=run.batch_tokens // run.length,
        max_steps=run.steps + 1,
        bf16=autocast,
        use_cpu=not run.on_gpu,
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
    if len(sys.argv) not in (6, 7):
        sys.exit(__doc__)
    system, shape, length, updates, data, *batch_tokens = sys.argv[1:]
    run = Run(SHAPES[shape], int(length), int(updates), Path(data))
    if batch_tokens:
        run = replace(run, batch_tokens=int(batch_tokens[0]), on_gpu=torch.cuda.is_available())
    seconds = SYSTEMS[system](run)
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if run.on_gpu:
        memory = torch.cuda.max_memory_allocated()
    print(json.dumps({"seconds": seconds, "memory": memory}), flush=True)


if __name__ == "__main__":
    main()
