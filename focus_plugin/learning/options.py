"""The options of methods that learn rows through the source model."""

from dataclasses import dataclass

from focus_plugin.mixing.declaration import Need
from focus_plugin.mixing.matching import MatchingOptions
from focus_plugin.options import option

LEARNING_NEEDS = (
    Need.MODEL,
    Need.EMBEDDING,
    Need.VECTORS,
    Need.SOURCE_TOKENIZER,
    Need.TARGET_TOKENIZER,
    Need.TEXT,
)
START_METHODS = ("focus", "pieces", "random", "regression")


@dataclass(frozen=True, kw_only=True)
class BudgetOptions(MatchingOptions):
    """A base class for the options of methods that read text by the source model."""

    budget: int = option(65_536, minimum=1024, help="Tokens of --corpus that the model reads to make the rows.")
    train_overlap: bool = option(
        False, help="Also train the rows of overlapping tokens, which otherwise keep those of the source."
    )


@dataclass(frozen=True, kw_only=True)
class RowTrainingOptions(BudgetOptions):
    """A base class for the options of methods that train rows."""

    start: str = option(
        "focus",
        choices=START_METHODS,
        help="Method with whose rows the training starts; it has the same budget and otherwise default options.",
    )
    row_lr: float = option(
        0.025,
        minimum=0,
        maximum=10,
        help="Highest learning rate, as a multiple of the root mean square of the entries of the source's embedding, "
        "times 256 / width for wider encoders.",
    )
