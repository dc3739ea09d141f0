"""The task and criterion ``focus_heads``, for heads whose file in ``heads`` declares a loss."""

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.data import Dictionary
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel
from fairseq.tasks import register_task
from omegaconf import II, MISSING
from torch import Tensor

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import TASK_HEAD, Loss, Outputs
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.distinct import DistinctSamples
from focus_plugin.finetuning.gradient_caching import in_mini_batches
from focus_plugin.finetuning.head_file import HEAD_FILE, read_head_file
from focus_plugin.finetuning.samples import TrainingSamples
from focus_plugin.finetuning.torch_model import TorchModel
from focus_plugin.finetuning.validation import Validation
from focus_plugin.numpy_compat import restore_numpy_compat
from focus_plugin.tasks.data_loading import NewWorkersEachEpoch
from focus_plugin.trusted import trust_fairseq_checkpoints
from focus_plugin.vocabulary.files import DICTIONARY
from focus_plugin.vocabulary.vocabulary import MASK

trust_fairseq_checkpoints()
restore_numpy_compat()


@dataclass
class FocusHeadsConfig(FairseqDataclass):
    """data: directory with ``head.json`` and the samples that ``write_samples`` wrote. validation: see
    ``validation_option``. distinct_rows, mini_batch_size: see ``DistinctSamples`` and ``in_mini_batches``."""

    data: str = field(default=MISSING, metadata={"help": "directory of training samples and head.json"})
    validation: str = field(default="", metadata={"help": "table by whose metrics the best checkpoint is chosen"})
    distinct_rows: bool = field(default=False, metadata={"help": "have no row of token ids twice in a batch"})
    mini_batch_size: int = field(
        default=0, metadata={"help": "rows that the encoder reads at once, if its gradients are cached; 0: a batch"}
    )
    seed: int = II("common.seed")


@register_task("focus_heads", dataclass=FocusHeadsConfig)
class FocusHeadsTask(NewWorkersEachEpoch):
    """Trains fairseq's model together with the module, if any, that the task of ``head.json`` declares."""

    def __init__(self, cfg: FocusHeadsConfig) -> None:
        super().__init__(cfg)
        self.directory = Path(cfg.data)
        self.dictionary = Dictionary.load(str(self.directory / DICTIONARY))
        self.dictionary.add_symbol(MASK)
        self.head, _ = read_head_file(self.directory / HEAD_FILE)
        self.declared = find_task(self.head.name)
        if not (self.declared.finetuning and self.declared.finetuning.loss):
            raise FocusError(
                f"{self.directory / HEAD_FILE}: the task {self.head.name} declares no loss, so it cannot be trained by "
                "--task focus_heads."
            )
        self.validation: Validation | None = None
        if cfg.validation:
            self.validation = Validation(self.declared, self.head, json.loads(cfg.validation))
        self.metrics: Mapping[str, float] = {}

    @property
    def source_dictionary(self) -> Dictionary:
        """The encoder's dictionary."""
        return self.dictionary

    @property
    def target_dictionary(self) -> None:
        """None, because the expected results are numbers."""
        return None

    def build_model(self, cfg: Namespace, from_checkpoint: bool = False) -> BaseFairseqModel:
        """Build the encoder and its head. The head's initial weights depend only on the seed, on every rank."""
        model = super().build_model(cfg, from_checkpoint)
        if self.declared.module:
            with utils.set_torch_seed(self.cfg.seed):
                model.attach_head(self.declared.module(self.head, cfg.encoder_embed_dim))
        return model

    def load_dataset(self, split: str, combine: bool = False, **options: Any) -> None:
        """Load the samples of a split."""
        kind = DistinctSamples if self.cfg.distinct_rows else TrainingSamples
        self.datasets[split] = kind(self.directory, split, self.dictionary.pad(), self.cfg.seed)

    def loss(self, model: BaseFairseqModel, sample: Mapping[str, Any], settings: Mapping[str, Any]) -> Loss:
        """The loss of a batch that ``TrainingSamples.collater`` made."""
        finetuning = self.declared.finetuning
        assert finetuning
        assert finetuning.loss
        whole = self._whole(model, finetuning.lower_layers(self.head))

        def run(ids: Tensor, lengths: Tensor) -> dict[str, Tensor]:
            return {name: tensor.float() for name, tensor in whole(ids, lengths)[1].items()}

        size = self.cfg.mini_batch_size or len(sample["expected"])
        outputs = [in_mini_batches(run, ids, lengths, size) for ids, lengths in sample["inputs"]]
        given = Outputs(head=self.head, outputs=outputs, expected=sample["expected"], settings=settings)
        return finetuning.loss(given)

    def begin_valid_epoch(self, epoch: int, model: BaseFairseqModel) -> None:
        """Compute the metrics of the validation table, on every rank."""
        super().begin_valid_epoch(epoch, model)
        if self.validation:
            model.eval()
            self.metrics = self.validation.metrics(self._whole(model))

    def valid_step(self, *given: Any, **named: Any) -> Any:
        """The loss of a batch; fairseq collects what is logged in this step."""
        for name, value in self.metrics.items():
            metrics.log_scalar(name, value, round=6)
        return super().valid_step(*given, **named)

    def _whole(self, model: BaseFairseqModel, lower_layers: tuple[int, ...] = ()) -> TorchModel:
        module = getattr(model, TASK_HEAD, None)
        return TorchModel(model=model, task=self.declared, head=self.head, module=module, lower_layers=lower_layers)


@dataclass
class FocusHeadsCriterionConfig(FairseqDataclass):
    """loss_settings: ``Outputs.settings`` as JSON."""

    loss_settings: str = field(default="{}", metadata={"help": "settings of the head's loss, a JSON object"})


@register_criterion("focus_heads", dataclass=FocusHeadsCriterionConfig)
class FocusHeadsCriterion(FairseqCriterion):
    """The loss that the task declares."""

    def __init__(self, task: FocusHeadsTask, loss_settings: str) -> None:
        super().__init__(task)
        self.settings = json.loads(loss_settings)

    def forward(
        self, model: BaseFairseqModel, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """The sum of the losses of a batch, the number of predictions, and the values for the log."""
        loss = self.task.loss(model, sample, self.settings)
        logged = {
            "loss": loss.total.detach(),
            "sample_size": loss.count,
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        return loss.total, loss.count, logged

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Log the mean loss, also as ``nats``."""
        if count := sum(log.get("sample_size", 0) for log in logging_outputs):
            mean = sum(log.get("loss", 0) for log in logging_outputs) / count
            for name in ("loss", "nats"):
                metrics.log_scalar(name, mean, count, round=6)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: all values for the log are sums."""
        return True
