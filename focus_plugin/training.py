"""fairseq's own commands, composed, run and followed: continued pretraining, fine-tuning and evaluation."""

import json
import math
import re
import shutil
import signal
import subprocess
import sysconfig
import threading
from argparse import ArgumentParser
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar
from zipfile import is_zipfile

import torch

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.release_state import fairseq_shape
from focus_plugin.checkpoint.weights import load_pickled
from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines, whole_file

BEST, LAST = "checkpoint_best.pt", "checkpoint_last.pt"
_USER_DIR = str(Path(__file__).parent)
_NEVER = "1000000000"  # epochs: what is not to happen at the end of each
_EVERY_SAMPLE = ("--required-batch-size-multiple", "1")  # by default fairseq leaves out those that are left over
_STATISTICS = re.compile(r' \| INFO \| (\S+) \| (\{".*\})$')
_TAIL_LINES = 8
_PRECISIONS = ("--fp16", "--bf16", "--amp", "--memory-efficient-fp16", "--memory-efficient-bf16")
_NOT_FOR_USERS = {
    "--save-dir": "it is chosen here, beside --output",
    "--finetune-from-model": "the encoder to start from is named before",
    "--restore-file": "an interrupted training goes on by itself",
    "--log-format": "the progress is read from the log",
    "--disable-validation": "the best checkpoint is what validation finds",
    "--no-save": "the result is made of a checkpoint",
    "--classification-head-name": "the head is looked for by the name it has here",
}

T = TypeVar("T")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    updates: optimizer steps. learning_rate: at its peak, after the first 6 % of the updates; it then falls
    linearly to zero. validate_every: updates between two validations, each of which saves a checkpoint.
    accumulate: batches whose gradients make one update. seed: of masking, dropout and order.
    """

    updates: int
    learning_rate: float
    validate_every: int
    accumulate: int = 1
    seed: int = 1


@dataclass(frozen=True)
class TrainingStep:
    """Where a training is. loss: in nats per prediction, of the latest batches or, if ``valid``, of the validation
    set. rate: tokens a second. updates: in all; update: so far."""

    update: int
    updates: int
    loss: float
    rate: float
    valid: bool


@dataclass(frozen=True)
class MaskedLMLoss:
    """nats: mean loss of a predicted token. predicted: how many were."""

    nats: float
    predicted: int


def masked_lm_command(
    data: Path,
    init: Path,
    save_dir: Path,
    config: EncoderConfig,
    schedule: Schedule,
    *,
    max_tokens: int,
    cpu: bool = False,
    extra: Sequence[str] = (),
) -> list[str]:
    """The ``fairseq-train`` command that goes on pretraining the checkpoint ``init`` on prepared text.

    ``max_tokens``: tokens in a batch on one device. ``extra``: more options of fairseq-train, which override
    those chosen here. Samples are runs of ``tokens_per_sample`` tokens across lines, so none is left out. The best
    checkpoint is the one with the lowest loss on the validation text. Raises FocusError if a sample has more tokens
    than ``max_tokens``.
    """
    sample = min(512, config.max_positions)
    longest = _given(extra, "--tokens-per-sample", int) or sample
    limit = _given(extra, "--max-tokens", int) or max_tokens
    if longest > limit:
        raise FocusError(
            f"--device-tokens {limit}: a sample has {longest} tokens and has to fit on a device whole; raise "
            "--device-tokens, or give a smaller --tokens-per-sample after --."
        )
    return [
        *_train_command(data, init, save_dir, config, schedule, extra),
        *("--task", "focus_masked_lm", "--criterion", "masked_lm"),
        *("--sample-break-mode", "none", "--tokens-per-sample", str(sample)),
        *("--max-tokens", str(max_tokens), "--skip-invalid-size-inputs-valid-test", *_EVERY_SAMPLE),
        *("--best-checkpoint-metric", "nats"),
        *_device_options(cpu, extra),
        *extra,
    ]


def classification_command(
    data: Path,
    init: Path,
    save_dir: Path,
    config: EncoderConfig,
    schedule: Schedule,
    *,
    head: str,
    classes: int,
    batch_size: int,
    cpu: bool = False,
    extra: Sequence[str] = (),
) -> list[str]:
    """The ``fairseq-train`` command that fine-tunes the checkpoint ``init`` and a new classification head.

    ``head``: its name. ``batch_size``: texts in a batch on one device. The best checkpoint is the latest of those
    most accurate on the validation set, to a tenth of a percent: fairseq tells it no finer. ``extra`` as in
    ``masked_lm_command``.
    """
    return [
        *_train_command(data, init, save_dir, config, schedule, extra),
        *("--task", "sentence_prediction", "--criterion", "sentence_prediction"),
        *("--num-classes", str(classes), "--classification-head-name", head),
        *("--init-token", "0", "--separator-token", "2"),
        *("--batch-size", str(batch_size), *_EVERY_SAMPLE),
        *("--best-checkpoint-metric", "accuracy", "--maximize-best-checkpoint-metric"),
        *_device_options(cpu, extra),
        *extra,
    ]


def check_extra(extra: Sequence[str], cpu: bool) -> None:
    """Raise FocusError for options of fairseq-train without a checkpoint in the end, or that need a GPU."""
    for word in extra:
        name = word.partition("=")[0]
        for option, reason in _NOT_FOR_USERS.items():
            if len(name) > 2 and option.startswith(name):  # fairseq-train takes abbreviations
                raise FocusError(f"{option} cannot be given after --: {reason}.")
    if "--fp16" in extra and not _on_gpu(cpu):
        raise FocusError("--fp16 needs a GPU; on a CPU --bf16, --memory-efficient-fp16 and --amp train.")


def _train_command(
    data: Path, init: Path, save_dir: Path, config: EncoderConfig, schedule: Schedule, extra: Sequence[str]
) -> Iterator[str]:
    yield from (_script("fairseq-train"), str(data), "--user-dir", _USER_DIR, "--arch", "focus_roberta")
    for name, value in fairseq_shape(config).items():
        if value is not False:
            yield from (f"--{name.replace('_', '-')}", *([] if value is True else [str(value)]))
    every = str(schedule.validate_every)
    last_epoch = _given(extra, "--max-epoch", int) or _NEVER
    options = {
        "finetune-from-model": init,
        "save-dir": save_dir,
        "optimizer": "adam",
        "adam-betas": "(0.9, 0.98)",
        "adam-eps": "1e-6",
        "weight-decay": "0.01",
        "clip-norm": "1.0",
        "dropout": "0.1",
        "attention-dropout": "0.1",
        "lr": schedule.learning_rate,
        "lr-scheduler": "polynomial_decay",
        "warmup-updates": math.ceil(0.06 * schedule.updates),
        "total-num-update": schedule.updates,
        "max-update": schedule.updates,
        "update-freq": schedule.accumulate,
        "seed": schedule.seed,
        "validate-interval-updates": every,
        "save-interval-updates": every,
        "keep-interval-updates": 1,
        "validate-interval": last_epoch,
        "save-interval": last_epoch,
        "log-format": "json",
        "log-interval": max(1, min(50, schedule.updates // 100)),
    }
    for option, setting in options.items():
        yield from (f"--{option}", str(setting))
    yield "--no-epoch-checkpoints"


def _device_options(cpu: bool, extra: Sequence[str]) -> list[str]:
    """All visible GPUs in half precision, unless ``extra`` names a precision, or the CPU."""
    if not _on_gpu(cpu):
        return ["--cpu", "--distributed-world-size", "1"]
    chosen = [] if set(_PRECISIONS) & set(extra) else [_half_precision()]
    return [*chosen, "--ddp-backend", "legacy_ddp"]


def _on_gpu(cpu: bool) -> bool:
    return not cpu and torch.cuda.is_available()


def _half_precision() -> str:
    return "--bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "--fp16"


def _given(words: Sequence[str], option: str, kind: Callable[[str], T]) -> T | None:
    """What ``words`` set ``option`` to, where they set it last; None where they do not."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(option, dest="setting", type=kind)
    setting: T | None = parser.parse_known_args(words)[0].setting
    return setting


def run_training(command: Sequence[str], log: Path, progress: Callable[[TrainingStep], object], *locks: int) -> None:
    """Run a ``fairseq-train`` command, append its output to ``log`` and report what it says of its progress.

    A run that was killed goes on from its last checkpoint, unless that was the end. ``locks``: descriptors that
    fairseq-train inherits, since it lives on where only its parent is killed. Raises FocusError if the command fails
    or leaves no best checkpoint.
    """
    updates, save_dir = _given(command, "--max-update", int), _given(command, "--save-dir", Path)
    assert updates is not None
    assert save_dir is not None
    _mend_last_checkpoint(save_dir)
    if _updates_in(save_dir / LAST) < updates:
        try:
            for tag, statistics in _run(command, log, *locks):
                # of an update in which no token happened to be masked, fairseq says -1
                if tag == "valid" or (tag == "train_inner" and float(statistics["loss"]) >= 0):
                    progress(_step(tag, statistics, updates))
        except FocusError:
            # a process that is done can still be aborted by fairseq's thread that reads ahead
            _mend_last_checkpoint(save_dir)
            if _updates_in(save_dir / LAST) < updates:
                raise
    if not (save_dir / BEST).is_file():
        raise FocusError(f"{save_dir}: fairseq-train has ended without a {BEST}; what it said is in {log}.")


def validations(log: Path) -> list[TrainingStep]:
    """What the validations of a training found, from its log, in order; of one made twice the later.

    A run that was killed after a validation makes it again when it goes on.
    """
    steps = {}
    for line in read_lines(log):
        if (match := _STATISTICS.search(line)) and match[1] == "valid":
            step = _step("valid", json.loads(match[2]), updates=0)
            steps[step.update] = step
    return [steps[update] for update in sorted(steps)]


def _step(tag: str, statistics: dict[str, str], updates: int) -> TrainingStep:
    prefix = "valid_" if tag == "valid" else ""
    return TrainingStep(
        update=int(statistics[f"{prefix}num_updates"]),
        updates=updates,
        loss=float(statistics.get(f"{prefix}nats") or float(statistics[f"{prefix}loss"]) * math.log(2)),
        rate=float(statistics[f"{prefix}wps"]),
        valid=tag == "valid",
    )


def _mend_last_checkpoint(save_dir: Path) -> None:
    """Replace a last checkpoint that a killed run left unfinished.

    fairseq writes one checkpoint whole or not at all, but then copies it to where it looks for the last.
    """
    last = save_dir / LAST
    whole = [path for path in save_dir.glob("checkpoint_*_*.pt") if is_zipfile(path)]
    if last.exists() and not is_zipfile(last) and whole:
        with whole_file(last) as path:
            shutil.copyfile(max(whole, key=lambda found: found.stat().st_mtime), path)


def _updates_in(checkpoint: Path) -> int:
    """How many updates a checkpoint of fairseq-train has had; 0 if there is none."""
    return int(load_pickled(checkpoint)["optimizer_history"][-1]["num_updates"]) if checkpoint.is_file() else 0


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

    ``checkpoint``: a directory that ``write_release`` wrote, or a ``.pt`` of ``fairseq-train``. Which tokens are
    masked depends on ``seed``, ``tokens_per_sample`` and the text alone, so checkpoints with one vocabulary are
    compared on the same predictions. Raises FocusError if fairseq fails.
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
        *(_script("fairseq-validate"), str(data), "--user-dir", _USER_DIR, "--path", str(path)),
        *("--task", "focus_masked_lm", "--valid-subset", split, "--max-tokens", str(max_tokens)),
        *("--model-overrides", repr({"task": task}), "--skip-invalid-size-inputs-valid-test", "--log-format", "json"),
        *_EVERY_SAMPLE,
        *(["--cpu"] if cpu else []),
    ]
    for tag, statistics in _run(command, log):
        if tag == split and f"{split}_nats" in statistics:
            return MaskedLMLoss(float(statistics[f"{split}_nats"]), int(float(statistics[f"{split}_predicted"])))
    raise FocusError(f"{data}: too little text in {split} to evaluate on; not one of its tokens was masked.")


def _script(name: str) -> str:
    """The path of one of fairseq's commands, installed beside this interpreter or else on the PATH."""
    path = Path(sysconfig.get_path("scripts")) / name
    found = str(path) if path.is_file() else shutil.which(name)
    if found is None:
        raise FocusError(f"{path}: no such command; training needs fairseq, which the extra 'train' installs.")
    return found


def _run(command: Sequence[str], log: Path, *inherited: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Run a command and yield the statistics that it logs, with their tag."""
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with open(log, "a", encoding="utf-8") as file, _child(command, inherited) as process:
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            file.flush()
            if line.strip():
                tail.append(line.rstrip())
            if match := _STATISTICS.search(line.rstrip()):
                yield match[1], json.loads(match[2])
    if process.returncode:
        ours = tail[-1].partition("focus_plugin.errors.FocusError: ")[2] if tail else ""
        what = f"stopped by signal {-process.returncode}" if process.returncode < 0 else "failed"
        raise FocusError(
            ours or f"{Path(command[0]).name} {what}; the whole log is in {log}, and its end is:\n" + "\n".join(tail)
        )


@contextmanager
def _child(command: Sequence[str], inherited: Sequence[int]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block: by itself, or because the block was left by an interruption."""

    def stop(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if main else None
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        pass_fds=inherited,
    )
    try:
        yield process
        process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
