"""The task ``focus_masked_lm``: fairseq's masked LM, with the loss in nats and no longer than the encoder reads."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from fairseq.criterions import FairseqCriterion
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel
from fairseq.tasks import register_task
from fairseq.tasks.masked_lm import MaskedLMConfig, MaskedLMTask

from focus_plugin.numpy_compat import restore_numpy_compat
from focus_plugin.trusted import trust_fairseq_checkpoints

trust_fairseq_checkpoints()
restore_numpy_compat()


@register_task("focus_masked_lm", dataclass=MaskedLMConfig)
class FocusMaskedLMTask(MaskedLMTask):
    """Masked LM that also logs ``nats``, the mean loss of a predicted token, and ``predicted``, their number.

    Samples are no longer than the encoder reads, whatever ``--tokens-per-sample`` says: fairseq would leave them out.
    """

    def build_model(self, cfg: Namespace, from_checkpoint: bool = False) -> BaseFairseqModel:
        """Build the model, which says how long a sample may be; data is loaded after it."""
        model = super().build_model(cfg, from_checkpoint)
        self.cfg.tokens_per_sample = min(self.cfg.tokens_per_sample, model.max_positions())
        return model

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: FairseqCriterion) -> None:
        """Log what fairseq logs, and the loss as papers state it, with digits enough to compare runs by."""
        predicted = sum(log["sample_size"] for log in logging_outputs)
        if not predicted:
            return
        super().reduce_metrics(logging_outputs, criterion)
        metrics.log_scalar("nats", sum(log["loss"] for log in logging_outputs) / predicted, predicted, round=6)
        metrics.log_scalar_sum("predicted", predicted)
