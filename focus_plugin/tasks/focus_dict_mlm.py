"""The two objectives called DICT-MLM: the task ``focus_dict_mlm``, and the criterion of the same name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.criterions.masked_lm import MaskedLmConfig, MaskedLmLoss
from fairseq.data import FairseqDataset
from fairseq.models import BaseFairseqModel
from fairseq.tasks import register_task
from torch import Tensor

from focus_plugin.masked_lm.bilingual_samples import ReadLanguages, TranslatedSamples, Translations
from focus_plugin.masked_lm.samples import MaskedSamples
from focus_plugin.tasks.focus_align_mlm import FocusAlignMLMConfig, FocusAlignMLMTask


@dataclass
class FocusDictMLMConfig(FocusAlignMLMConfig):
    """How many tokens are read as their translation."""

    translated_share: float = field(
        default=0.5, metadata={"help": "share of the predicted tokens that are read as their translation, if any"}
    )


@register_task("focus_dict_mlm", dataclass=FocusDictMLMConfig)
class FocusDictMLMTask(FocusAlignMLMTask):
    """Masked LM that reads some tokens as their translation, as the code of ALIGN-MLM's authors does for DICT-MLM."""

    def _masked(self, samples: FairseqDataset, targets: bool) -> MaskedSamples:
        share = self.cfg.translated_share
        return TranslatedSamples(samples, self.dictionary, self.masking, targets, self.translations(), share)

    def _languages(self, languages: FairseqDataset, samples: FairseqDataset, read: MaskedSamples) -> FairseqDataset:
        return ReadLanguages(languages, samples, read, self.translations())


@register_criterion("focus_dict_mlm", dataclass=MaskedLmConfig)
class FocusDictMLMCriterion(MaskedLmLoss):
    """Masked LM in which, in training, the translations of a token are right predictions, too (Chaudhary et al. 2020).

    The loss of a token is minus the logarithm of the probability of the token or any of its translations. The log and
    the validation have the loss of masked LM. The task must have a dictionary, such as ``focus_align_mlm``.
    """

    def __init__(self, cfg: MaskedLmConfig, task: FocusAlignMLMTask) -> None:
        super().__init__(cfg, task)
        self.right: Tensor | None = None

    def forward(
        self, model: BaseFairseqModel, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The sum of the losses, the number of predicted tokens, and the values for the log."""
        predicted = sample["target"].ne(self.padding_idx)
        count = predicted.int().sum()
        read = torch.where(predicted.any(), predicted, torch.ones_like(predicted))  # the model needs one token
        targets = sample["target"][read]
        chances = torch.log_softmax(model(**sample["net_input"], masked_tokens=read)[0].float(), dim=-1)
        own = chances.gather(1, targets[:, None])
        known = targets.ne(self.padding_idx)
        plain = -own[known].sum()
        logged = {
            "loss": plain.detach(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
            "sample_size": count,
        }
        if not model.training:
            return plain, count, logged
        if self.right is None:
            self.right = _alternatives(self.task.translations(), targets.device)
        others = self.right[targets]
        found = chances.gather(1, others.clamp(min=0)).masked_fill(others < 0, -torch.inf)
        return -torch.cat([own, found], dim=1)[known].logsumexp(1).sum(), count, logged


def _alternatives(translations: Translations, device: torch.device) -> Tensor:
    """The different translations of each token, shape (tokens, most), -1 where there are fewer."""
    table, count = torch.from_numpy(translations.table), torch.from_numpy(translations.count)
    absent = torch.arange(table.shape[1]) >= count[:, None]
    return table.masked_fill(absent, -1).to(device)
