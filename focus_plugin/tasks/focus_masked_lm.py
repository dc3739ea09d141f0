"""The task ``focus_masked_lm``: fairseq's masked LM, with the loss in nats and no longer than the encoder reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import FairseqCriterion
from fairseq.logging import metrics
from fairseq.tasks import register_task
from fairseq.tasks.masked_lm import MaskedLMConfig, MaskedLMTask

from focus_plugin.numpy_compat import restore_numpy_compat
from focus_plugin.trusted import trust_fairseq_checkpoints

trust_fairseq_checkpoints()
restore_numpy_compat()


@dataclass
class FocusMaskedLMConfig(MaskedLMConfig):
    """fairseq's options with a default that suits XLM-R: longer samples would silently be left out."""

    tokens_per_sample: int = field(default=512, metadata={"help": "max number of tokens per sample, <s> included"})


@register_task("focus_masked_lm", dataclass=FocusMaskedLMConfig)
class FocusMaskedLMTask(MaskedLMTask):
    """Masked LM that also logs ``nats``, the mean loss of a predicted token, and ``predicted``, their number."""

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: FairseqCriterion) -> None:
        """Log what fairseq logs, and the loss as papers state it, with digits enough to compare runs by."""
        predicted = sum(log["sample_size"] for log in logging_outputs)
        if not predicted:
            return
        super().reduce_metrics(logging_outputs, criterion)
        metrics.log_scalar("nats", sum(log["loss"] for log in logging_outputs) / predicted, predicted, round=6)
        metrics.log_scalar_sum("predicted", predicted)
