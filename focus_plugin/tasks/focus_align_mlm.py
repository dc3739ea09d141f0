"""The task and criterion ``focus_align_mlm``: masked LM that makes the embeddings of translations similar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import register_criterion
from fairseq.criterions.masked_lm import MaskedLmConfig
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel
from fairseq.tasks import register_task
from fairseq.tasks.masked_lm import MaskedLMConfig
from torch import Tensor
from torch.nn.functional import cosine_similarity

from focus_plugin.bilingual.alignment import PairRows, alignment_loss
from focus_plugin.bilingual.objectives import DISTANCES
from focus_plugin.bilingual.pairs import PAIRS, TokenPair, chosen_pairs, pair_ids, read_translations
from focus_plugin.masked_lm.bilingual_samples import Translations
from focus_plugin.tasks.focus_masked_lm import FocusMaskedLMTask
from focus_plugin.tasks.masked_lm_criterion import FocusMaskedLMCriterion

_LOGGED = ("align_cosine", "align_loss")


@dataclass
class FocusAlignMLMConfig(MaskedLMConfig):
    """Which pairs of the data's dictionary are aligned."""

    dictionary_share: float = field(default=1.0, metadata={"help": "share of the dictionary's pairs that are used"})
    single_pieces: bool = field(default=False, metadata={"help": "use only pairs with one token on each side"})


@register_task("focus_align_mlm", dataclass=FocusAlignMLMConfig)
class FocusAlignMLMTask(FocusMaskedLMTask):
    """Masked LM with the pairs of the data's dictionary. Checkpoints keep the pairs, as the state of the task."""

    def __init__(self, cfg: FocusAlignMLMConfig, dictionary: Any = None) -> None:
        super().__init__(cfg, dictionary)
        self.state.add_factory("translations", self._read_translations)

    def _read_translations(self) -> list[list[list[str]]]:
        available = read_translations(self.data_directory)
        pairs = chosen_pairs(available, self.cfg.dictionary_share, self.cfg.single_pieces, self.cfg.seed)
        return [[list(pair.source), list(pair.target)] for pair in pairs]

    def pairs(self) -> list[tuple[list[int], list[int]]]:
        """The ids of the tokens of each pair."""
        pairs = [TokenPair(tuple(source), tuple(target)) for source, target in self.state.translations]
        return pair_ids(pairs, self.dictionary.indices, PAIRS)

    def translations(self) -> Translations:
        """The translations of single tokens."""
        return Translations(self.pairs(), len(self.dictionary))


@dataclass
class FocusAlignMLMCriterionConfig(MaskedLmConfig):
    """How strongly the two sides of a pair are made similar, and by which distance."""

    align_weight: float = field(default=10.0, metadata={"help": "weight of the alignment term"})
    align_distance: ChoiceEnum(DISTANCES) = field(  # type: ignore[valid-type]
        default="cosine", metadata={"help": "distance of the embeddings of a pair"}
    )
    align_margin: float = field(default=0.5, metadata={"help": "cosine that is enough, with the distance margin"})


@register_criterion("focus_align_mlm", dataclass=FocusAlignMLMCriterionConfig)
class FocusAlignMLMCriterion(FocusMaskedLMCriterion):
    """The masked-LM loss plus, in training only, the weighted mean distance of all pairs.

    fairseq divides the sum of the masked-LM losses by the number of predicted tokens. So the term, which is a mean, is
    multiplied by this number; it then counts equally on any number of devices. What is logged as loss is that of masked
    LM alone, which also chooses the best checkpoint. ``align_cosine`` is the mean cosine of the pairs, ``align_loss``
    the term without its weight.
    """

    def __init__(self, cfg: FocusAlignMLMCriterionConfig, task: FocusAlignMLMTask) -> None:
        super().__init__(cfg, task)
        self.weight, self.distance, self.margin = cfg.align_weight, str(cfg.align_distance), cfg.align_margin
        self.rows: PairRows | None = None

    def forward(
        self, model: BaseFairseqModel, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The sum to minimize, the number of predicted tokens, and the values for the log."""
        loss, predicted, logged = super().forward(model, sample, reduce)
        embedding = model.encoder.sentence_encoder.embed_tokens.weight
        if self.rows is None:
            self.rows = PairRows(self.task.pairs()).to(embedding.device)
        source, target = self.rows(embedding)
        aligned = alignment_loss(source, target, self.distance, self.margin)
        cosine = cosine_similarity(source.detach(), target.detach()).mean()
        values = zip(_LOGGED, (cosine, aligned.detach()), strict=True)
        logged |= {name: value * predicted for name, value in values}
        if model.training:
            loss = loss + self.weight * predicted * aligned
        return loss, predicted, logged

    @staticmethod
    def reduce_metrics(logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Log fairseq's values, the mean cosine of the pairs, and the alignment term."""
        FocusMaskedLMCriterion.reduce_metrics(logging_outputs)
        predicted = sum(log["sample_size"] for log in logging_outputs)
        for name in _LOGGED:
            metrics.log_scalar(name, sum(log[name] for log in logging_outputs) / predicted, predicted, round=6)
