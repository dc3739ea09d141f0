"""Continued pretraining of an encoder on prepared text, by fairseq-train, from directory to directory."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint, require_release
from focus_plugin.checkpoint.release import RELEASE_MODEL, load_fairseq, write_release
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.head_file import head_for_encoders
from focus_plugin.forecast.encoder import Batch
from focus_plugin.forecast.forecast import AT_ONCE, Launch
from focus_plugin.forecast.training import TrainingWork
from focus_plugin.jobs.objective import MASKED_LM, objective_of, released
from focus_plugin.jobs.prepare import DATA_KIND, require_prepared
from focus_plugin.manifest import Manifest, expect_kind
from focus_plugin.masked_lm.amount import TrainingAmount, amount_of, split_update
from focus_plugin.masked_lm.data import shards_of
from focus_plugin.masked_lm.masking import PREDICTED_SHARE
from focus_plugin.masked_lm.options import Pretraining
from focus_plugin.model_card.card import model_card
from focus_plugin.model_card.use import release_use
from focus_plugin.options import settings
from focus_plugin.training.commands import Schedule, Training, check_extra, devices, on_gpu
from focus_plugin.training.ranks import Rank
from focus_plugin.training.recipe import Recipe
from focus_plugin.training.release import Trained, TrainingJob, take_part, train_release
from focus_plugin.training.watcher import Watcher
from focus_plugin.training.words import last_setting
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary

_KIND = "trained encoder"
_RATE_TIMES_WIDTH = 0.128  # 5e-4 for the 256 wide encoder it was found on, and 1.7e-4 for XLM-R base
_PREDICTED = {"adapt": 0.4, "plain": PREDICTED_SHARE}  # share of the tokens
_NOT_WITH_ADAPT = dict.fromkeys(
    ("--memory-efficient-fp16", "--memory-efficient-bf16"), "its optimizer needs --recipe plain"
)
_PLAIN_RATE = 5e-5
_FEW_PASSES = 10  # through the training text; what is read so rarely is not memorized
_DROPOUT = 0.1  # with more passes


def pretrain(
    job: Pretraining, output: Path, watcher: Watcher, launch: Launch = AT_ONCE, rank: Rank | None = None
) -> Manifest:
    """Train, and write the checkpoint with the lowest validation loss as a release; see ``train_release``.

    ``rank``: rank 0, if a launcher started several processes; the others call :func:`take_part_in`. Raises FocusError
    if data and encoder have different vocabularies, or for options that cannot work.
    """
    return train_release(_training_job(job, rank), output, watcher, launch)


def take_part_in(job: Pretraining, output: Path, rank: Rank) -> None:
    """Train as one of the other ranks; see :func:`take_part`. Raises FocusError as :func:`pretrain` does."""
    take_part(_training_job(job, rank), output)


def _training_job(job: Pretraining, rank: Rank | None) -> TrainingJob:
    require_prepared(job.data, "train", "valid")
    require_release(job.init)
    check_extra(job.extra, job.cpu, {} if job.recipe == "plain" else _NOT_WITH_ADAPT)
    dictionary, tokenizer = vocabulary_files(job.data)
    source = read_checkpoint(job.init)
    if source.vocabulary != read_dictionary(dictionary):
        raise FocusError(f"{job.data}: was prepared with another vocabulary than that of {job.init}.")
    objective = objective_of(job)
    files = {**_input(job), **objective.files}
    options = {**settings(job), **asdict(_amount(job)), "extra": list(job.extra)}

    def release(trained: Trained, directory: Path) -> dict[str, object]:
        """Write the best checkpoint; the counts of the manifest."""
        tensors, figures = released(objective, job, source, load_fairseq(trained.best)[0], directory)
        write_release(directory, source.config, tensors, dictionary, tokenizer)
        losses = {str(step.update): round(step.loss, 6) for step in trained.validations}
        return {"valid_loss_nats": losses, **figures}

    return TrainingJob(
        kind=_KIND,
        options=options,
        files=files,
        prepare=lambda _: _training(job, source.config, objective.words, rank),
        release=release,
        work=lambda: training_work(job, source, rank),
        made_of={"init": job.init, "data": job.data},
        card=partial(model_card, use=release_use(head_for_encoders(), has_head=False)),
    )


def masked_lm_task(
    config: EncoderConfig, device_tokens: int, extra: Sequence[str] = (), objective: Sequence[str] = MASKED_LM
) -> tuple[str, ...]:
    """The options of fairseq-train for masked LM on prepared text, in batches of ``device_tokens`` tokens.

    ``objective``: the task and the criterion, with their options.

    A sample has ``tokens_per_sample`` tokens and can span several lines, so no token is left out. The best checkpoint
    is the one with the lowest loss on the validation text. Raises FocusError if a sample, whose length ``extra`` can
    set, has more tokens than a batch.
    """
    longest = _sample(config, extra)
    limit = last_setting(extra, "--max-tokens", int) or device_tokens
    if longest > limit:
        raise FocusError(
            f"--device-tokens {limit}: a sample has {longest} tokens and must fit into one batch; raise "
            "--device-tokens, or give a smaller --tokens-per-sample after --."
        )
    return (
        *objective,
        *("--sample-break-mode", "none", "--tokens-per-sample", str(_sample(config))),
        *("--max-tokens", str(device_tokens), "--skip-invalid-size-inputs-valid-test"),
        *("--best-checkpoint-metric", "nats"),
    )


def _sample(config: EncoderConfig, extra: Sequence[str] = ()) -> int:
    """The tokens of a sample, unless it is the last one."""
    return last_setting(extra, "--tokens-per-sample", int) or min(512, config.max_positions)


def _input(job: Pretraining) -> dict[str, Path]:
    files = {"data": job.data / "train.bin", "valid": job.data / "valid.bin"}
    files |= {f"data/{shard.name}": shard / "train.bin" for shard in shards_of(job.data)[1:]}
    files["dictionary"], _ = vocabulary_files(job.data)
    return {**files, **{f"init/{path.name}": path for path in checkpoint_files(job.init)}}


def training_work(job: Pretraining, source: Checkpoint, rank: Rank | None = None) -> TrainingWork:
    """The amount of work of the training, for a forecast."""
    training = _training(job, source.config, objective_of(job).words, rank)
    words = (*training.task, *job.extra)
    length, most = last_setting(words, "--tokens-per-sample", int), last_setting(words, "--max-tokens", int)
    updates = last_setting(job.extra, "--max-update", int) or _amount(job).updates
    accumulate = last_setting(job.extra, "--update-freq", int) or training.schedule.accumulate
    counts = expect_kind(job.data, DATA_KIND).counts
    tokens, rows = min(most or job.device_tokens, counts["train"]["tokens"]), len(source.vocabulary)
    predicted = round(tokens * (last_setting(words, "--mask-prob", float) or PREDICTED_SHARE))
    batch = Batch(tokens=tokens, length=length or tokens, predicted=predicted, rows=rows)
    return TrainingWork(
        config=source.config,
        rows=rows,
        batch=batch,
        largest=batch,
        accumulate=accumulate,
        updates=updates,
        validations=math.ceil(updates / training.schedule.validate_every),
        validated=counts["valid"]["tokens"],
        beside=sum(path.stat().st_size for path in vocabulary_files(job.data)),
        on_gpu=on_gpu(job.cpu),
    )


def _training(job: Pretraining, config: EncoderConfig, objective: tuple[str, ...], rank: Rank | None) -> Training:
    amount, sample = _amount(job), _sample(config, job.extra)
    device_tokens, accumulate = split_update(amount.batch_tokens, job.device_tokens, devices(job.cpu, rank), sample)
    schedule = Schedule(
        updates=amount.updates,
        recipe=_recipe(job, config.width),
        validate_every=amount.validate_every,
        accumulate=accumulate,
        seed=job.seed,
    )
    return Training(
        data=job.data,
        shards=tuple(shards_of(job.data)[1:]),
        init=job.init / RELEASE_MODEL,
        config=config,
        schedule=schedule,
        task=(
            *masked_lm_task(config, min(device_tokens, job.device_tokens), job.extra, objective),
            *("--mask-prob", str(_PREDICTED[job.recipe])),
        ),
        cpu=job.cpu,
        extra=job.extra,
        rank=rank,
    )


def passes(job: Pretraining) -> float:
    """How often the training reads its text. Raises FocusError if the text is not prepared."""
    require_prepared(job.data, "train", "valid")
    amount = _amount(job)
    updates = last_setting(job.extra, "--max-update", int) or amount.updates
    return updates * amount.batch_tokens / _text_tokens(job)


def _amount(job: Pretraining) -> TrainingAmount:
    return amount_of(job, _text_tokens(job))


def _text_tokens(job: Pretraining) -> int:
    tokens: int = expect_kind(job.data, DATA_KIND).counts["train"]["tokens"]
    return tokens


def _recipe(job: Pretraining, width: int) -> Recipe:
    """The recipe for an encoder of this width."""
    plain = job.recipe == "plain"
    usual = _PLAIN_RATE if plain else _RATE_TIMES_WIDTH / width
    rate = usual if job.learning_rate is None else job.learning_rate
    if plain:
        return Recipe(learning_rate=rate)
    return Recipe(
        learning_rate=rate,
        embedding_ratio=job.embedding_lr_ratio,
        dropout=_DROPOUT if round(passes(job)) > _FEW_PASSES else 0.0,
        optimizer="focus_adam",
    )
