"""The masked-LM loss of an encoder on the validation text of a prepared directory."""

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import write_release
from focus_plugin.errors import FocusError
from focus_plugin.jobs.prepare import require_text
from focus_plugin.training.commands import USER_DIR
from focus_plugin.training.process import run_logged, script
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary


@dataclass(frozen=True)
class MaskedLMLoss:
    """nats: mean loss of a predicted token. predicted: how many were."""

    nats: float
    predicted: int


def evaluate(model: Path, data: Path, *, tokens_per_sample: int, seed: int, cpu: bool) -> MaskedLMLoss:
    """Evaluate with fairseq-validate, whose output is kept in a temporary file if it fails; see ``masked_lm_loss``.

    ``model`` may be any directory that ``read_checkpoint`` reads; fairseq is given a release made of it. Raises
    FocusError if model and data have different vocabularies or the text is too little to say anything.
    """
    require_text(data, "valid")
    checkpoint = read_checkpoint(model)
    dictionary, tokenizer = vocabulary_files(data)
    if checkpoint.vocabulary != read_dictionary(dictionary):
        raise FocusError(f"{data}: was prepared with another vocabulary than that of {model}.")
    length = min(tokens_per_sample, checkpoint.config.max_positions)
    with tempfile.TemporaryDirectory(prefix="focus-") as release:
        write_release(Path(release), checkpoint.config, checkpoint.tensors, dictionary, tokenizer)
        descriptor, log = tempfile.mkstemp(prefix="focus-", suffix=".log")
        os.close(descriptor)
        loss = masked_lm_loss(Path(release), data, Path(log), tokens_per_sample=length, seed=seed, cpu=cpu)
    Path(log).unlink()
    return loss


def masked_lm_loss(
    checkpoint: Path,
    data: Path,
    log: Path,
    *,
    split: str = "valid",
    tokens_per_sample: int = 512,
    max_tokens: int = 4096,
    seed: int = 1,
    cpu: bool = False,
) -> MaskedLMLoss:
    """Evaluate a checkpoint on prepared text with ``fairseq-validate``, whose output is appended to ``log``.

    ``checkpoint``: a directory that ``write_release`` wrote, or a ``.pt`` of ``fairseq-train``. Raises FocusError if
    fairseq fails.
    """
    path = checkpoint / "model.pt" if checkpoint.is_dir() else checkpoint
    task = {
        "_name": "focus_masked_lm",
        "data": str(data),
        "sample_break_mode": "none",
        "tokens_per_sample": tokens_per_sample,
        "seed": seed,
    }
    command = [
        *(script("fairseq-validate"), str(data), "--user-dir", USER_DIR, "--path", str(path)),
        *("--task", "focus_masked_lm", "--valid-subset", split, "--max-tokens", str(max_tokens)),
        *("--model-overrides", repr({"task": task}), "--skip-invalid-size-inputs-valid-test", "--log-format", "json"),
        *("--required-batch-size-multiple", "1"),
        *(["--cpu"] if cpu else []),
    ]
    for line in run_logged(command, log):
        if match := re.search(rf" \| INFO \| {split} \| (\{{.*\}})$", line):
            statistics = json.loads(match[1])
            return MaskedLMLoss(float(statistics[f"{split}_nats"]), int(float(statistics[f"{split}_predicted"])))
    raise FocusError(f"{data}: too little text in {split} to evaluate on; not one of its tokens was masked.")
