"""What the processes that load data read, and that they end with the epoch."""

import multiprocessing
from pathlib import Path

import numpy as np
from fairseq.tasks import FairseqTask
from fairseq.tasks.masked_lm import MaskedLMConfig
from fairseq_models import CONFIG, World, prepare_data

from focus_plugin.binary_data import writing_numbers
from focus_plugin.finetuning.samples import TrainingSamples
from focus_plugin.tasks.data_loading import NewWorkersEachEpoch
from focus_plugin.tasks.focus_masked_lm import FocusMaskedLMTask

EPOCHS = 3


def _epochs(task: FairseqTask, dataset: object, workers: int) -> list[list[dict]]:
    """The batches of several epochs, as fairseq-train gets them."""
    return [
        list(
            task.get_batch_iterator(
                dataset, max_sentences=8, seed=1, epoch=epoch, num_workers=workers, data_buffer_size=10
            ).next_epoch_itr()
        )
        for epoch in range(1, EPOCHS + 1)
    ]


def _targets(data: Path, workers: int) -> list[dict[int, list[int]]]:
    """What is predicted of each sample, for several epochs."""
    task = FocusMaskedLMTask.setup_task(MaskedLMConfig(data=str(data), tokens_per_sample=CONFIG.max_positions, seed=1))
    task.load_dataset("train")
    return [
        {
            number: row
            for batch in epoch
            for number, row in zip(batch["id"].tolist(), batch["target"].tolist(), strict=True)
        }
        for epoch in _epochs(task, task.dataset("train"), workers)
    ]


def test_each_epoch_of_a_pretraining_has_other_masks(world: World, tmp_path: Path) -> None:
    """Also if another process draws them; the same ones as without it."""
    data = prepare_data(world, tmp_path / "data")
    without, by_worker = (_targets(data, workers) for workers in (0, 1))
    assert without == by_worker
    first, *others = by_worker
    for other in others:
        assert other.keys() == first.keys()
        assert sum(other[number] == first[number] for number in first) < len(first) / 2


def test_no_process_that_loads_data_outlives_its_epoch(tmp_path: Path) -> None:
    """Fine-tuning makes new batches in each epoch."""
    with writing_numbers(tmp_path / "train.rows", np.int32) as rows:
        for number in range(40):
            rows.add(np.array([0, 4 + number, 2]), np.array([3]))
    with writing_numbers(tmp_path / "train.expected", np.int64) as expected:
        for _ in range(40):
            expected.add(np.zeros(1), np.array([1]))
    epochs = _epochs(NewWorkersEachEpoch(None), TrainingSamples(tmp_path, "train", pad=1, seed=1), workers=1)
    assert [sum(batch["nsentences"] for batch in epoch) for epoch in epochs] == [40] * EPOCHS
    for process in multiprocessing.active_children():
        process.join(60)
        assert process.exitcode is not None
