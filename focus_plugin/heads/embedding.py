"""One vector for each text, trained on pairs of texts that mean the same, or on pairs with a score."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from focus_export.head import Encoded
from focus_export.heads.embedding import POOLINGS, EmbeddingHead

from focus_plugin.embeddings.pairs import EmbeddingColumns, Pair, aligned_pairs, pairs_of_file
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import (
    Example,
    Finetuning,
    Forward,
    Loss,
    Outcome,
    Outputs,
    Preparation,
    Prepared,
    TaskHead,
    focus_heads_options,
)
from focus_plugin.finetuning.options import FinetuningOptions
from focus_plugin.options import option

if TYPE_CHECKING:
    from focus_export.head import ServingHead
    from focus_export.tokenizer import TextTokenizer
    from torch import Tensor


CONTRASTIVE, COSENT, COSINE = "contrastive", "cosent", "cosine"


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions(FinetuningOptions):
    """The options of ``focus finetune embedding``."""

    loss: str = option(
        CONTRASTIVE,
        choices=(CONTRASTIVE, COSENT, COSINE),
        help="Loss: of pairs with in-batch negatives, of the order of scores, or of cosines that must equal scores.",
    )
    scale: float = option(20.0, minimum=1, help="Cosines are multiplied by this number in the loss.")
    mini_batch_size: int = option(
        32, minimum=1, help="Samples that the encoder reads at once; a larger batch is computed twice, to save memory."
    )
    pooling: str = option("mean", choices=POOLINGS, help="Embedding: the mean of all tokens, or the first.")
    nested_dimensions: tuple[int, ...] = option(
        (), minimum=1, help="Train the first values, this many, as an embedding, too; may be given several times."
    )
    nested_layers: tuple[int, ...] = option(
        (), minimum=1, help="Train the first layers, this many, as an encoder, too; may be given several times."
    )

    @property
    def at_once(self) -> int:
        """A mini-batch."""
        return min(self.batch_size, self.mini_batch_size)


@dataclass(frozen=True)
class _TextsApart:
    """Encodes each text of a pair as the head encodes one."""

    head: "ServingHead"
    inputs: tuple[str, ...] = ()  # any number of texts
    more_inputs: tuple[str, ...] = ()

    def encode(self, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> Encoded:
        parts = [self.head.encode(tokenizer, text, truncate) for text in sample]
        rows = tuple(row for part in parts for row in part.rows)
        return Encoded(rows, left_out=sum(part.left_out for part in parts))


def prepare(given: Preparation) -> Prepared:
    """Write the texts of each pair as rows of a sample, and its score as the expected number.

    Raises FocusError for tables that do not fit the loss, and for one in which no pair has in-batch negatives.
    """
    options = given.options
    assert isinstance(options, EmbeddingOptions)
    head = EmbeddingHead(
        pooling=options.pooling, nested_dimensions=options.nested_dimensions, nested_layers=options.nested_layers
    )
    if fault := head.fault():
        raise FocusError(f"{fault}.")
    written = {split: _write(given, split, head) for split in given.tables}
    left_out = {split: _left_out(given, split) for split in ("train", "valid")} if options.loss == CONTRASTIVE else {}
    truncated = sum(cut for _, cut in written.values())
    return Prepared(
        head=head,
        samples=written["train"][0],
        counts={"left_out_of_an_epoch": left_out, "truncated": truncated},
        loss_settings={"loss": options.loss, "scale": options.scale},
    )


def _write(given: Preparation, split: str, head: "ServingHead") -> tuple[int, int]:
    """Write the samples of a table; their number, and that of samples with a text that was cut."""
    import numpy as np

    from focus_plugin.finetuning.samples import TrainingSample, write_samples

    assert isinstance(given.options, EmbeddingOptions)
    loss, cut = None if split == "test" else given.options.loss, 0

    def samples(example: Example, encoded: Encoded) -> Iterator[TrainingSample]:
        """The sample of a pair. Raises FocusError if it does not fit the loss."""
        nonlocal cut
        if fault := _misfit(example.expected, loss):
            raise FocusError(f"{example.place}: {fault}")
        cut += encoded.left_out > 0
        yield TrainingSample(encoded.rows, np.array([example.expected.score or 0.0]))

    return write_samples(given, split, _TextsApart(head), samples), cut


def _misfit(pair: Pair | None, loss: str | None) -> str | None:
    """What is wrong with a pair, for a loss if one is given."""
    if pair is None:
        return "its header lacks the columns of pairs; name them: --first-column and --second-column, or --pair-column."
    if loss is None:
        return None
    if loss == CONTRASTIVE:
        return "has scores; give --loss cosent or cosine." if pair.score is not None else None
    if pair.score is None:
        return f"--loss {loss} needs a column with scores; name it with --score-column."
    if loss == COSINE and abs(pair.score) > 1:
        return f"has the score {pair.score}, which no cosine is; give --loss cosent, which needs only their order."
    return None


def _left_out(given: Preparation, split: str) -> int:
    """The number of pairs of a split for which the batches of the first epoch have no place."""
    from focus_plugin.finetuning.distinct import DistinctSamples

    dataset = DistinctSamples(given.directory, split, pad=0, seed=given.options.seed)
    batches = dataset.batch_by_size(dataset.ordered_indices(), max_sentences=given.options.batch_size)
    if max(map(len, batches)) < 2:
        raise FocusError(
            f"{given.tables[split]}: no two pairs without a common text are in a batch of {given.options.batch_size}, "
            "so none has a negative; give more pairs, or a larger --batch-size."
        )
    return len(dataset) - sum(map(len, batches))


def fairseq_options(head: "ServingHead", options: EmbeddingOptions) -> tuple[str, ...]:
    """The options of fairseq's task and criterion."""
    return (
        *focus_heads_options(head, options),
        *("--mini-batch-size", str(options.mini_batch_size)),
        *(("--distinct-rows",) if options.loss == CONTRASTIVE else ()),
    )


def loss(given: Outputs) -> Loss:
    """The loss that the settings name, also of nested dimensions and layers, times the number of pairs."""
    from focus_plugin.embeddings.contrastive import contrastive
    from focus_plugin.embeddings.nested import nested_dimensions, with_layers
    from focus_plugin.embeddings.scored import cosent, squared_error

    name, scale, scores = given.settings["loss"], given.settings["scale"], given.expected[:, 0]
    losses = {
        CONTRASTIVE: lambda embeddings: contrastive(embeddings, scale),
        COSENT: lambda embeddings: cosent(embeddings[0], embeddings[1], scores, scale),
        COSINE: lambda embeddings: squared_error(embeddings[0], embeddings[1], scores),
    }
    last, *lower = (
        [outputs[embedding] for outputs in given.outputs]
        for embedding in ("embedding", *map(_lower, given.head.nested_layers))
    )
    mean = with_layers(nested_dimensions(losses[name], given.head.nested_dimensions), last, lower)
    return Loss(total=mean * len(scores), count=len(scores))


def _lower(layer: int) -> str:
    """The name of the embeddings of a lower layer."""
    return f"embedding_{layer}"


def variants(head: EmbeddingHead) -> "Mapping[str, ServingHead]":
    """The nested layers."""
    return {f"{layers}_layers": replace(head, layers=layers) for layers in head.nested_layers}


def parsed(head: EmbeddingHead, pair: Pair | None) -> Pair | None:
    """A pair with the nested dimensions that the head has."""
    if pair is None:
        return None
    sizes = tuple(size for size in head.nested_dimensions if head.dimensions is None or size < head.dimensions)
    return replace(pair, dimensions=sizes)


def metrics(expected: Sequence[Any], results: Sequence[Any]) -> Mapping[str, float]:
    """Of pairs with a score, the correlations; of other pairs, the accuracy of retrieval; of texts, the mean cosine.

    Of nested dimensions, the first of these.
    """
    import numpy as np

    from focus_plugin.embeddings.quality import correlations, mean_cosine_of_rows, retrieval_accuracy

    first = np.array([vectors[0] for vectors in results])
    if not isinstance(expected[0], Pair):
        return {"cosine": mean_cosine_of_rows(np.array([vectors[0] for vectors in expected]), first)}
    second = np.array([vectors[1] for vectors in results])
    if expected[0].score is None:
        measure = partial(retrieval_accuracy, texts=[(pair.first, pair.second) for pair in expected])
    else:
        measure = partial(correlations, scores=[pair.score for pair in expected])
    found = dict(measure(first, second))
    name = next(iter(found))
    for size in expected[0].dimensions:
        found[f"{name}_of_{size}_dimensions"] = measure(first[:, :size], second[:, :size])[name]
    return found


def compared_together(examples: Sequence[Example], results: Sequence[Any]) -> list[tuple[Example, Outcome]]:
    """Of pairs with a score, the score and the cosine; of other pairs, for each text, its other text and the nearest.

    The error of a cosine grows with the difference of the two ranks, which Spearman's correlation compares. That of a
    wrong text is how much nearer it is than the right one.
    """
    import numpy as np
    from scipy.stats import rankdata

    from focus_plugin.embeddings.quality import cosines_of_rows, nearest

    sides = [np.array([vectors[side] for vectors in results]) for side in (0, 1)]
    cosines = cosines_of_rows(*sides)
    if (scores := [example.expected.score for example in examples])[0] is not None:
        errors = (1 + np.abs(rankdata(scores) - rankdata(cosines))) / len(scores)
        rows = zip(examples, scores, cosines, errors, strict=True)
        return [(each, Outcome(f"{score:.6g}", f"{of:.6g}", error, classes=False)) for each, score, of, error in rows]
    listed = []
    for side in (0, 1):
        best = nearest(sides[side], sides[1 - side])
        nearer = cosines_of_rows(sides[side], sides[1 - side][best]) - cosines
        for example, number, difference in zip(examples, best, nearer, strict=True):
            right, found = example.sample[1 - side], examples[number].sample[1 - side]
            error = 0.0 if found == right else max(difference, 1e-9)
            listed.append(
                (replace(example, sample=(example.sample[side],)), Outcome(right, found, error, classes=False))
            )
    return listed


def forward(given: Forward) -> "dict[str, Tensor]":
    """The embeddings of the last layer and, in training, of nested layers."""
    states = {"embedding": given.hidden, **{_lower(layer): hidden for layer, hidden in given.lower.items()}}
    pool = _first if given.head.pooling == "first" else _mean
    return {name: pool(hidden, given.lengths)[:, : given.head.dimensions] for name, hidden in states.items()}


def _first(hidden: "Tensor", lengths: "Tensor") -> "Tensor":
    """The hidden state of the first token of each row."""
    return hidden[:, 0]


def _mean(hidden: "Tensor", lengths: "Tensor") -> "Tensor":
    """The mean of the hidden states of each row without padding, in float32."""
    import torch

    real = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    return (hidden * real[:, :, None]).sum(1, dtype=torch.float32) / real.sum(1, keepdim=True)


HEAD = TaskHead(
    name="embedding",
    summary="Compute a vector for each text, so that texts with the same meaning have similar vectors.",
    columns=EmbeddingColumns,
    examples=pairs_of_file,
    read_together=aligned_pairs,
    texts_apart=True,
    parsed=parsed,
    metrics=metrics,
    compared_together=compared_together,
    forward=forward,
    finetuning=Finetuning(
        options=EmbeddingOptions,
        prepare=prepare,
        fairseq_options=fairseq_options,
        loss=loss,
        lower_layers=lambda head: head.nested_layers,
        tensors="",
        refused={"--max-tokens": "a batch is a number of pairs, see --batch-size and --mini-batch-size"},
        variants=variants,
    ),
)
