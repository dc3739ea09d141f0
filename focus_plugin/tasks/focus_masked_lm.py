"""The task ``focus_masked_lm``: fairseq's masked LM with losses in nats, and with samples that the encoder can read."""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fairseq import utils
from fairseq.criterions import FairseqCriterion
from fairseq.data import (
    FairseqDataset,
    PrependTokenDataset,
    RightPadDataset,
    SortDataset,
    TokenBlockDataset,
    data_utils,
)
from fairseq.data.shorten_dataset import maybe_shorten_dataset
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel
from fairseq.tasks import register_task
from fairseq.tasks.masked_lm import MaskedLMConfig, MaskedLMTask

from focus_plugin.masked_lm.samples import BERT, Lines, MaskedSamples, Masking
from focus_plugin.numpy_compat import restore_numpy_compat
from focus_plugin.trusted import trust_fairseq_checkpoints

trust_fairseq_checkpoints()
restore_numpy_compat()


@register_task("focus_masked_lm", dataclass=MaskedLMConfig)
class FocusMaskedLMTask(MaskedLMTask):
    """Masked LM that also logs ``nats``, the mean loss per predicted token, and ``predicted``, their number.

    Special tokens are not predicted. However a training masks, validation masks as BERT, with one seed: the losses of
    two trainings can be compared.

    Samples are at most as long as the encoder can read, whatever ``--tokens-per-sample`` is; fairseq would leave out
    longer ones. Blank lines separate documents in ``--sample-break-mode complete_doc``; other modes ignore them.
    """

    def build_model(self, cfg: Namespace, from_checkpoint: bool = False) -> BaseFairseqModel:
        """Build the model, which limits the length of samples; fairseq loads the data later."""
        model = super().build_model(cfg, from_checkpoint)
        self.cfg.tokens_per_sample = min(self.cfg.tokens_per_sample, model.max_positions())
        return model

    def _load_dataset_split(self, split: str, epoch: int, combine: bool) -> FairseqDataset:
        """The samples of a text, as fairseq makes them, but without blank lines unless they separate documents."""
        paths = utils.split_paths(self.cfg.data)
        path = os.path.join(paths[(epoch - 1) % len(paths)], split)
        text = data_utils.load_indexed_dataset(path, self.source_dictionary, combine=combine)
        if text is None:
            raise FileNotFoundError(f"Dataset not found: {split} ({path})")
        if self.cfg.sample_break_mode != "complete_doc":
            text = Lines(text)
        text = maybe_shorten_dataset(
            text,
            split,
            self.cfg.shorten_data_split_list,
            self.cfg.shorten_method,
            self.cfg.tokens_per_sample,
            self.cfg.seed,
        )
        samples = TokenBlockDataset(
            text,
            text.sizes,
            self.cfg.tokens_per_sample - 1,  # one less for <s>
            pad=self.source_dictionary.pad(),
            eos=self.source_dictionary.eos(),
            break_mode=self.cfg.sample_break_mode,
        )
        return PrependTokenDataset(samples, self.source_dictionary.bos())

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **_: Any) -> None:
        """Load a text as samples with their targets, in an order that the seed draws."""
        cfg = self.cfg
        samples = self._load_dataset_split(split, epoch, combine)
        trained = Masking(cfg.mask_prob, cfg.leave_unmasked_prob, cfg.random_token_prob, cfg.mask_whole_words, cfg.seed)
        masking = trained if split == "train" else BERT
        read, targets = (MaskedSamples(samples, self.dictionary, masking, wanted) for wanted in (False, True))
        order = np.random.RandomState(cfg.seed).permutation(len(samples))
        padded = RightPadDataset(targets, pad_idx=self.dictionary.pad())
        self.datasets[split] = SortDataset(self._regular_dataset(read, padded), sort_order=[order, samples.sizes])

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: FairseqCriterion) -> None:
        """Log fairseq's values, and the loss in nats with enough digits to compare trainings."""
        predicted = sum(log["sample_size"] for log in logging_outputs)
        if not predicted:
            return
        super().reduce_metrics(logging_outputs, criterion)
        metrics.log_scalar("nats", sum(log["loss"] for log in logging_outputs) / predicted, predicted, round=6)
        metrics.log_scalar_sum("predicted", predicted)
