"""What a command of fairseq-train makes of its options, in this process."""

import torch
from fairseq import options, tasks
from fairseq.data import data_utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_models import CONFIG, USER_DIR, train_options

import focus_plugin.models.focus_roberta
import focus_plugin.tasks.focus_dict_mlm
import focus_plugin.tasks.focus_tlm  # noqa: F401  registers what the commands name

SHAPE = [
    *("--arch", "focus_roberta", "--encoder-layers", CONFIG.layers, "--encoder-embed-dim", CONFIG.width),
    *("--encoder-ffn-embed-dim", CONFIG.feedforward, "--encoder-attention-heads", CONFIG.attention_heads),
    *("--max-positions", CONFIG.max_positions, "--dropout", 0, "--attention-dropout", 0),
    *("--user-dir", USER_DIR, "--cpu-precision", "float32"),
]


def built(data, *more):
    """Task, model and criterion of a command of fairseq-train; the model's weights are always the same."""
    words = [*map(str, (*train_options(data, data, 1), *SHAPE, *more))]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    task = tasks.setup_task(cfg.task)
    torch.manual_seed(1)
    model = task.build_model(cfg.model)
    task.load_dataset("train")
    return task, model, task.build_criterion(cfg.criterion)


def batches(task, count, split="train"):
    """The first batches of four samples."""
    dataset = task.dataset(split)
    dataset.set_epoch(1)
    with data_utils.numpy_seed(1):
        order = dataset.ordered_indices()
    return [dataset.collater([dataset[i] for i in order[4 * k : 4 * k + 4]]) for k in range(count)]
