"""The options of ``focus prepare``, ``focus train`` and ``focus evaluate`` for masked language modelling."""

from dataclasses import dataclass
from pathlib import Path

from focus_plugin.bilingual.objectives import DISTANCES, OBJECTIVES
from focus_plugin.options import option
from focus_plugin.training.options import cpu_option, seed_option

SOURCE_TEXT = "source"  # the split of the text of a second language that is trained on
PARALLEL = ("parallel.source", "parallel.target")  # the names of the files of parallel lines
SHARD_LINES = 2_000  # encoded at once, and written to one shard


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """The options of ``focus train``.

    data: directory made by ``focus prepare``. batch_tokens: the sum over all devices and accumulated batches. extra:
    options for fairseq-train.
    """

    data: Path
    init: Path = option(help="Encoder to start from: a directory made by focus convert.")
    updates: int | None = option(
        None,
        minimum=1,
        help="Optimizer steps. By default as many as read the text 10 times, and at most 10,000.",
    )
    recipe: str = option(
        "adapt",
        choices=("adapt", "plain"),
        help="adapt: for an encoder with a new vocabulary. plain: one learning rate for all weights, and dropout.",
    )
    learning_rate: float | None = option(
        None,
        flag="lr",
        minimum=0,
        help="Learning rate of the encoder's body at its peak. By default 0.128 divided by the encoder's width, and "
        "5e-5 with --recipe plain.",
    )
    embedding_lr_ratio: float = option(
        10.0,
        minimum=0,
        help="Learning rate of embeddings and output bias, as a multiple of that of the body; with --recipe adapt.",
    )
    objective: str = option(
        "mlm",
        choices=OBJECTIVES,
        help="mlm: masked LM. align-mlm: also make the embeddings of translations more similar. dict-mlm-input: read "
        "half of the predicted tokens as their translation. dict-mlm-output: translations are right predictions, too. "
        "tlm: also read lines together with their translations.",
    )
    align_weight: float = option(10.0, minimum=0, help="Weight of the alignment of translations; with align-mlm.")
    align_distance: str = option(
        "cosine",
        choices=DISTANCES,
        help="Distance of two embeddings that is minimized with align-mlm: minus their cosine; margin: how much it is "
        "below --align-margin; l2: their Euclidean distance.",
    )
    align_margin: float = option(0.5, minimum=-1, maximum=1, help="Cosine that is enough; with the distance margin.")
    dictionary_share: float = option(
        1.0, minimum=0, maximum=1, help="Share of the dictionary's pairs that are used, drawn at random."
    )
    single_pieces: bool = option(
        False, help="Use only pairs of the dictionary with one token on each side, as dict-mlm-input and -output do."
    )
    parallel_share: float = option(
        1.0, minimum=0, maximum=1, help="Share of the parallel lines that are used, drawn at random; with tlm."
    )
    language_embeddings: bool = option(
        False,
        help="Add an embedding of its language to each token; the output has that of --language.",
    )
    language: str = option(
        "target", choices=("source", "target"), help="Language of the output; with --language-embeddings."
    )
    batch_tokens: int | None = option(
        None,
        minimum=1,
        help="Tokens of one update. By default 4,096 to 32,768, the fewest with which 10,000 updates read the text 10 "
        "times.",
    )
    device_tokens: int = option(8_192, minimum=1, help="Tokens in one batch on one device.")
    validate_every: int | None = option(
        None,
        minimum=1,
        help="Updates between validations, each of which saves a checkpoint. By default a tenth of --updates, and at "
        "most 1,000.",
    )
    cpu: bool = cpu_option()
    seed: int = seed_option()
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The options of ``focus evaluate`` on masked-LM data; data: directory made by ``focus prepare``."""

    data: Path
    model: Path = option(
        help="Encoder directory with the vocabulary that DATA was made with. For --table a directory made by focus "
        "finetune or by focus export --onnx."
    )
    split: str = option("valid", choices=("valid", "test"), help="Which text of DATA to measure on.")
    tokens_per_sample: int = option(
        512, minimum=2, help="Tokens that the encoder reads at once; fewer if it cannot read as many."
    )
    cpu: bool = cpu_option()
    seed: int = seed_option()


@dataclass(frozen=True, kw_only=True)
class TextPreparation:
    """The options of ``focus prepare``. train, valid, test: names of files or patterns, see ``Text``."""

    vocabulary: Path = option(flag="vocab", help="Directory made by focus vocab or focus convert.")
    train: tuple[Path, ...] = option(
        help="Text to train on: a file or a pattern; may be given several times. LANGUAGE=FILE if it has several "
        "languages."
    )
    valid: tuple[Path, ...] = option(help="Text to validate on, given as --train is.")
    test: tuple[Path, ...] = option((), help="Text for focus evaluate --split test, given as --train is.")
    source_text: tuple[Path, ...] = option(
        (), help="Text of the source's language to train on, beside --train; given as --train is."
    )
    sampling_alpha: float = option(
        1.0,
        minimum=0,
        maximum=1,
        help="Share of each language of --train: the size of its text to this power. 1: as it is; 0: all equal.",
    )
    shards: int = option(1, minimum=1, maximum=1000, help="Parts of the training text; each epoch reads one of them.")
    dictionary: tuple[Path, ...] = option(
        (),
        help="Bilingual dictionary for focus train --objective: a word of the source's language, a tab or spaces, and "
        "its translation on each line; may be given several times.",
    )
    dictionary_of_tokens: bool = option(False, help="The entries of --dictionary are tokens of --vocab, not words.")
    parallel: tuple[Path, ...] = option(
        (),
        help="Parallel text for focus train --objective tlm: a file with a text, a tab and its translation on each "
        "line; or the option twice, with the file of the source's language first.",
    )
