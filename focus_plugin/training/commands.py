"""The ``fairseq-train`` command of a training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.release_state import fairseq_shape
from focus_plugin.errors import FocusError
from focus_plugin.training.process import command_path
from focus_plugin.training.ranks import Rank
from focus_plugin.training.recipe import Recipe
from focus_plugin.training.words import last_setting

USER_DIR = str(Path(__file__).parents[1])
_NEVER = "1000000000"  # epochs, for what must not happen at the end of an epoch
_PRECISIONS = ("--fp16", "--bf16", "--amp", "--memory-efficient-fp16", "--memory-efficient-bf16")
_NOT_FOR_USERS = {
    "--save-dir": "it is chosen here, beside --output",
    "--finetune-from-model": "the encoder to start from is named before",
    "--restore-file": "an interrupted training goes on by itself",
    "--log-format": "the progress is read from the log",
    "--disable-validation": "the best checkpoint is what validation finds",
    "--no-save": "the result is made of a checkpoint",
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The length of a training and its checkpoints.

    updates: optimizer steps. recipe: see ``Recipe``. validate_every: updates between two validations, each of which
    saves a checkpoint. accumulate: batches whose gradients make one update. seed: of masking, dropout and order.
    """

    updates: int
    recipe: Recipe
    validate_every: int
    accumulate: int = 1
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training by ``fairseq-train``.

    data: directory that the task reads. shards: directories with further training data, for other epochs. init:
    checkpoint to start from. config: shape of its encoder. task: the options of fairseq-train that belong to the task:
    its name, criterion, batches and best-checkpoint metric. cpu: train on the CPU even if there is a GPU. extra: the
    user's options of fairseq-train, which override all others. rank: of this process, if a launcher such as torchrun
    started several.
    """

    data: Path
    init: Path
    config: EncoderConfig
    schedule: Schedule
    task: tuple[str, ...]
    cpu: bool
    extra: tuple[str, ...] = ()
    rank: Rank | None = None
    shards: tuple[Path, ...] = ()


def train_command(training: Training, save_dir: Path) -> list[str]:
    """The ``fairseq-train`` command of a training, with its checkpoints in ``save_dir``.

    No sample is left out. On a GPU the precision is half, unless ``extra`` has an option for another one.
    """
    return [
        command_path("fairseq-train"),
        ":".join(map(_argument, (training.data, *training.shards))),
        *("--user-dir", USER_DIR, "--arch", "focus_roberta"),
        *_shape(training.config),
        *training.schedule.recipe.options(training.schedule.updates, training.extra),
        *_schedule(training.schedule, last_setting(training.extra, "--max-epoch", int)),
        *("--finetune-from-model", _argument(training.init), "--save-dir", _argument(save_dir)),
        *("--required-batch-size-multiple", "1"),  # by default fairseq leaves out the last samples if they are fewer
        *training.task,
        *_device(training),
        *training.extra,
    ]


def _argument(path: Path) -> str:
    """A path as a word of the command, where a dash at its beginning would make it an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def check_extra(extra: Sequence[str], cpu: bool, refused: Mapping[str, str] | None = None) -> None:
    """Raise FocusError for a user's options of fairseq-train that cannot work.

    These are options without which there would be no checkpoint to release, options that need a GPU if there is none,
    and those in ``refused``, which has the reason for each.
    """
    reasons = {**_NOT_FOR_USERS, **(refused or {})}
    for word in extra:
        name = word.partition("=")[0]
        for option, reason in reasons.items():
            if len(name) > 2 and option.startswith(name):  # fairseq-train takes abbreviations
                raise FocusError(f"{option} cannot be given after --: {reason}.")
    if "--fp16" in extra and not on_gpu(cpu):
        raise FocusError("--fp16 needs a GPU; on a CPU --bf16, --memory-efficient-fp16 and --amp train.")


def devices(cpu: bool, rank: Rank | None = None) -> int:
    """How many devices a training uses: one for each rank, or else every visible GPU, or one CPU."""
    if rank is not None:
        return rank.world
    return max(1, torch.cuda.device_count()) if on_gpu(cpu) else 1


def _shape(config: EncoderConfig) -> Iterator[str]:
    for name, value in fairseq_shape(config).items():
        if value is not False:
            yield from (f"--{name.replace('_', '-')}", *([] if value is True else [str(value)]))


def _schedule(schedule: Schedule, last_epoch: int | None) -> Iterator[str]:
    every, epochs = schedule.validate_every, last_epoch or _NEVER
    options = {
        "max-update": schedule.updates,
        "update-freq": schedule.accumulate,
        "seed": schedule.seed,
        "validate-interval-updates": every,
        "save-interval-updates": every,
        "keep-interval-updates": 1,
        "validate-interval": epochs,
        "save-interval": epochs,
        "log-format": "json",
        "log-interval": max(1, min(50, schedule.updates // 100)),
    }
    for option, setting in options.items():
        yield from (f"--{option}", str(setting))
    yield "--no-epoch-checkpoints"


def _device(training: Training) -> Iterator[str]:
    """All visible GPUs in half precision, unless the user names a precision, or the CPU; only one device for a rank."""
    gpu = on_gpu(training.cpu)
    if not gpu:
        yield "--cpu"
    elif not set(_PRECISIONS) & set(training.extra):
        yield _half_precision()
    if training.rank is not None:
        yield from training.rank.options(gpu)
    elif not gpu:
        yield from ("--distributed-world-size", "1")
    if gpu or training.rank is not None:
        yield from ("--ddp-backend", "legacy_ddp")


def on_gpu(cpu: bool) -> bool:
    """Whether a training uses GPUs; ``cpu``: the user wants none."""
    return not cpu and torch.cuda.is_available()


def _half_precision() -> str:
    return "--bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "--fp16"
