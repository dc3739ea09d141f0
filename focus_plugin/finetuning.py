"""How good a fine-tuned checkpoint is: its predictions on a prepared data set, and their scores."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from fairseq import checkpoint_utils, utils
from sklearn.metrics import accuracy_score, f1_score

import focus_plugin.models.focus_roberta  # noqa: F401  registers the architecture that checkpoints name
from focus_plugin.data import read_labels


@dataclass(frozen=True)
class Evaluation:
    """expected, predicted: a label for every text, in the order of the file. accuracy, macro_f1: between 0 and 1."""

    expected: tuple[str, ...]
    predicted: tuple[str, ...]
    accuracy: float
    macro_f1: float


def evaluate_classifier(
    checkpoint: Path, data: Path, head: str, *, split: str = "valid", batch_size: int = 32, cpu: bool = False
) -> Evaluation:
    """Predict the labels of a split of a prepared classification directory, on the GPU if there is one and not ``cpu``.

    ``checkpoint``: what ``fairseq-train`` saved. ``head``: the name of its classification head.
    """
    models, _, task = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)], {"data": str(data)})
    model, cuda = models[0].eval(), torch.cuda.is_available() and not cpu
    if cuda:
        model.cuda()
    task.load_dataset(split)
    warnings.filterwarnings("ignore", "'pin_memory' argument", UserWarning)  # fairseq sets it without a GPU too
    batches = task.get_batch_iterator(task.dataset(split), max_sentences=batch_size).next_epoch_itr(shuffle=False)
    found: dict[int, tuple[int, int]] = {}
    with torch.inference_mode():
        for sample in batches:
            sample = utils.move_to_cuda(sample) if cuda else sample
            logits, _ = model(**sample["net_input"], features_only=True, classification_head_name=head)
            pairs = zip(sample["target"].view(-1).tolist(), logits.argmax(-1).tolist(), strict=True)
            found.update(zip(sample["id"].tolist(), pairs, strict=True))
    labels = read_labels(data)
    expected, predicted = (tuple(labels[found[i][side]] for i in range(len(found))) for side in (0, 1))
    return Evaluation(
        expected,
        predicted,
        accuracy=float(accuracy_score(expected, predicted)),
        macro_f1=float(f1_score(expected, predicted, average="macro")),
    )
