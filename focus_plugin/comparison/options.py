"""The options of ``focus compare``."""

from dataclasses import dataclass
from pathlib import Path

from focus_plugin.options import option
from focus_plugin.training.options import cpu_option


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """What all runs of a comparison have in common; data: directory made by ``focus prepare``.

    Exactly one of ``updates`` and ``seconds`` is given.
    """

    data: Path
    source: Path = option(help="XLM-R, RoBERTa or CamemBERT: a directory, or NAME[@REVISION] on the Hugging Face Hub.")
    updates: int | None = option(None, minimum=3, help="Optimizer steps of every training.")
    seconds: float | None = option(
        None,
        minimum=1,
        help="Instead of --updates: seconds for the conversion and the updates together, the same for every run. A "
        "short training measures first how long an update takes.",
    )
    validate_every: int | None = option(
        None, minimum=1, help="Updates between validations. By default a third of a training."
    )
    tokens_per_sample: int | None = option(
        None,
        minimum=2,
        help="Tokens that the encoder reads at once, in training and evaluation. By default 512, or fewer if it cannot "
        "read as many.",
    )
    split: str = option("valid", choices=("valid", "test"), help="The text of DATA to measure the loss on.")
    cpu: bool = cpu_option()
    keep: bool = option(False, help="Keep the trained encoders, in OUTPUT/runs.")
