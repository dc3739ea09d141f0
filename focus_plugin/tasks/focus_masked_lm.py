"""The task ``focus_masked_lm``: fairseq's masked LM with losses in nats, and with samples that the encoder can read."""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fairseq import utils
from fairseq.criterions import FairseqCriterion
from fairseq.data import (
    ConcatDataset,
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

from focus_plugin.masked_lm.bilingual_samples import SOURCE, TARGET, SampleLanguages
from focus_plugin.masked_lm.options import SOURCE_TEXT
from focus_plugin.masked_lm.samples import BERT, Lines, MaskedSamples, Masking
from focus_plugin.numpy_compat import restore_numpy_compat
from focus_plugin.tasks.data_loading import NewWorkersEachEpoch
from focus_plugin.trusted import trust_fairseq_checkpoints

trust_fairseq_checkpoints()
restore_numpy_compat()


@register_task("focus_masked_lm", dataclass=MaskedLMConfig)
class FocusMaskedLMTask(NewWorkersEachEpoch, MaskedLMTask):
    """Masked LM that also logs ``nats``, the mean loss per predicted token, and ``predicted``, their number.

    Special tokens are not predicted. However a training masks, validation masks as BERT, with one seed: the losses of
    two trainings can be compared.

    Samples are at most as long as the encoder can read, whatever ``--tokens-per-sample`` is; fairseq would leave out
    longer ones. Blank lines separate documents in ``--sample-break-mode complete_doc``; other modes ignore them.

    If the data has text of a second language, which ``focus prepare`` calls source, it is trained on, too. Models with
    ``--language-embeddings`` are told the language of each token.
    """

    with_languages = False

    def build_model(self, cfg: Namespace, from_checkpoint: bool = False) -> BaseFairseqModel:
        """Build the model, which limits the length of samples; fairseq loads the data later."""
        model = super().build_model(cfg, from_checkpoint)
        self.cfg.tokens_per_sample = min(self.cfg.tokens_per_sample, model.max_positions())
        self.with_languages = getattr(cfg, "language_embeddings", False)
        return model

    def _load_dataset_split(self, split: str, epoch: int, combine: bool) -> FairseqDataset:
        """The samples of a text, as fairseq makes them, but without blank lines unless they separate documents."""
        paths = utils.split_paths(self.cfg.data)
        path = os.path.join(paths[(epoch - 1) % len(paths) if split == "train" else 0], split)
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
        training = split == "train"
        parts = self._training_parts(epoch, combine) if training else [self._target_part(split, epoch, combine)]
        samples = _joined([part for part, _ in parts])
        masked = partial(self._masked, samples) if training else partial(MaskedSamples, samples, self.dictionary, BERT)
        read, targets = masked(targets=False), masked(targets=True)
        padded = RightPadDataset(targets, pad_idx=self.dictionary.pad())
        dataset = self._regular_dataset(read, padded)
        if self.with_languages:
            begin = self.dictionary.bos()
            languages = _joined([SampleLanguages(part, first, begin) for part, first in parts])
            known = self._languages(languages, samples, read) if training else languages
            dataset.defn["net_input.languages"] = RightPadDataset(known, pad_idx=SOURCE)
        order = np.random.RandomState(self.cfg.seed).permutation(len(samples))
        self.datasets[split] = SortDataset(dataset, sort_order=[order, samples.sizes])

    def _training_parts(self, epoch: int, combine: bool) -> list[tuple[FairseqDataset, int]]:
        """The samples that are trained on, each with the language of its first token."""
        parts = [self._target_part("train", epoch, combine)]
        if (self.data_directory / f"{SOURCE_TEXT}.idx").is_file():
            parts.append((self._load_dataset_split(SOURCE_TEXT, epoch, combine), SOURCE))
        return parts

    def _target_part(self, split: str, epoch: int, combine: bool) -> tuple[FairseqDataset, int]:
        return self._load_dataset_split(split, epoch, combine), TARGET

    @property
    def masking(self) -> Masking:
        """How the training masks."""
        cfg = self.cfg
        return Masking(cfg.mask_prob, cfg.leave_unmasked_prob, cfg.random_token_prob, cfg.mask_whole_words, cfg.seed)

    def _masked(self, samples: FairseqDataset, targets: bool) -> MaskedSamples:
        """What is read of the training samples, or their targets."""
        return MaskedSamples(samples, self.dictionary, self.masking, targets)

    def _languages(self, languages: FairseqDataset, samples: FairseqDataset, read: MaskedSamples) -> FairseqDataset:
        """The language of each token that is read of the training samples, whose own languages are given."""
        return languages

    @property
    def data_directory(self) -> Path:
        """The first data directory, which has what belongs to all of them."""
        return Path(utils.split_paths(self.cfg.data)[0])

    def reduce_metrics(self, logging_outputs: Sequence[Mapping[str, Any]], criterion: FairseqCriterion) -> None:
        """Log fairseq's values, and the loss in nats with enough digits to compare trainings."""
        predicted = sum(log["sample_size"] for log in logging_outputs)
        if not predicted:
            return
        super().reduce_metrics(logging_outputs, criterion)
        metrics.log_scalar("nats", sum(log["loss"] for log in logging_outputs) / predicted, predicted, round=6)
        metrics.log_scalar_sum("predicted", predicted)


def _joined(datasets: Sequence[FairseqDataset]) -> FairseqDataset:
    return ConcatDataset(datasets) if len(datasets) > 1 else datasets[0]
