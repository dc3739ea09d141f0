"""The criterion ``focus_masked_lm``: fairseq's ``masked_lm``, in less time and memory."""

from collections.abc import Mapping
from typing import Any

from fairseq.criterions import register_criterion
from fairseq.criterions.masked_lm import MaskedLmConfig, MaskedLmLoss
from fairseq.models import BaseFairseqModel
from torch import Tensor

from focus_plugin.errors import FocusError


@register_criterion("focus_masked_lm", dataclass=MaskedLmConfig)
class FocusMaskedLMCriterion(MaskedLmLoss):
    """The sum of the losses of the predicted tokens, which the architectures of the plugin compute themselves."""

    def forward(
        self, model: BaseFairseqModel, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The sum to minimize, the number of predicted tokens, and the values for the log."""
        predicted = sample["target"].ne(self.padding_idx)
        targets = sample["target"][predicted]
        loss: Tensor = model(**sample["net_input"], masked_tokens=predicted, targets=targets)[0]
        if loss.ndim:
            raise FocusError("--criterion focus_masked_lm needs an --arch of this plugin; use masked_lm with others.")
        count = predicted.int().sum()
        logged = {
            "loss": loss.detach(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": count,
        }
        return loss, count, logged
