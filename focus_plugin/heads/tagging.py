"""A tag for each word: entities, parts of speech, or any other tags."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_export.entities import entities_of, entity_tags, is_entity_tagset
from focus_export.heads.tagging import TaggedWord, Tagging, TaggingHead

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
from focus_plugin.finetuning.declaration import (
    Example,
    Finetuning,
    Forward,
    Loss,
    OtherForm,
    Outcome,
    Outputs,
    Preparation,
    Prepared,
    TaskHead,
)
from focus_plugin.finetuning.options import SamplingOptions
from focus_plugin.finetuning.tables import listed
from focus_plugin.tagging.columns import TagColumns
from focus_plugin.tagging.sentences import TaggedSentence

if TYPE_CHECKING:
    from focus_export.head import Encoded
    from torch import Tensor, nn

    from focus_plugin.finetuning.samples import TrainingSample

DROPOUT = 0.1
AROUND = 50  # words shown on each side of a wrong one: a sentence, but not a long document for each of its words


def examples(path: Path, columns: TagColumns, progress: Progress) -> Iterator[Example]:
    """The sentences of a table. A sample is a tuple of words; what is expected is a TaggedSentence.

    Raises FocusError, with file and line, for faults of the table.
    """
    from focus_plugin.tagging.tables import tagged_sentences

    for sentence in tagged_sentences(path, columns, progress):
        yield Example(sentence.lines[0], sentence.words, sentence)


def fault(head: TaggingHead, expected: TaggedSentence) -> str | None:
    """A sentence if the model does not have a tag, unless such tags are accepted."""
    for word, tag, line in zip(expected.words, expected.tags, expected.lines, strict=True):
        if tag not in head.tags and not expected.any_tags:
            return (
                f"the model has no tag {tag!r}, which {word!r} on line {line} has; it has {listed(head.tags)}. Correct "
                "the tag, or give --accept-unknown-tags to count such words as wrong"
            )
    return None


def raw_text(example: Example) -> Example:
    """An example whose sample is the raw text of the sentence."""
    from focus_plugin.tagging.splitting import with_raw_text

    sentence = with_raw_text(example.expected)
    return Example(example.line, sentence.text, sentence)


def prepare(given: Preparation) -> Prepared:
    """Write the training samples: a row for each window of a sentence, and a class for the first piece of each word.

    With balanced sampling, a sentence of the training table is there as often as its rarest tag says.

    Raises FocusError, with file and line, if the training table has one tag only, or lacks a tag of another table and
    such tags are not accepted.
    """
    from focus_plugin.finetuning.samples import write_samples
    from focus_plugin.tagging.sampling import copies_by_tag
    from focus_plugin.tagging.splitting import fitted_splitter

    options: Any = given.options
    tables = {split: [example.expected for example in given.examples(table)] for split, table in given.tables.items()}
    splitter = fitted_splitter(tables["train"])
    head = TaggingHead(_all_tags(tables["train"]), splitter.joined, splitter.whole)
    if len(head.tags) < 2:
        raise FocusError(
            f"{given.tables['train']}: every word has the tag {head.tags[0]!r}; a tagger needs at least two."
        )
    copies = {"train": copies_by_tag(tables["train"])} if options.class_sampling == "balanced" else {}
    samples = {
        split: write_samples(given, split, head, partial(_samples, head, copies.get(split, {})))
        for split in given.tables
    }
    sentences = [sentence for table in tables.values() for sentence in table]
    repaired = sum(sentence.repaired for sentence in sentences)
    unknown = sum(tag not in head.tags for sentence in sentences for tag in sentence.tags)
    warnings = (
        f"{repaired} faults of the tables were repaired." if repaired else "",
        f"Words whose tag the training table lacks, which count as wrong: {unknown:,}." if unknown else "",
    )
    return Prepared(
        head=head,
        samples=samples["train"],
        counts={"tags": list(head.tags), "windows": samples, "repaired": repaired, "unknown_tags": unknown},
        warnings=tuple(filter(None, warnings)),
    )


def _all_tags(sentences: Sequence[TaggedSentence]) -> tuple[str, ...]:
    """The tags of a table, sorted; of entities also those that the table does not have of its types."""
    tags = sorted({tag for sentence in sentences for tag in sentence.tags})
    if not is_entity_tagset(tags):
        return tuple(tags)
    return entity_tags(sorted({tag.partition("-")[2] for tag in tags} - {""}))


def _samples(
    head: TaggingHead, copies: Mapping[str, int], example: Example, encoded: "Encoded"
) -> "Iterator[TrainingSample]":
    """A sample for each window, as often as the rarest tag has ``copies``.

    The first piece of a word has its class in the window that the piece is kept in, unless its tag is unknown.
    """
    import numpy as np

    from focus_plugin.finetuning.samples import IGNORED, TrainingSample

    if wrong := fault(head, example.expected):
        raise FocusError(f"{example.place}: {wrong}.")
    words, tags = encoded.context, example.expected.tags
    classes = np.full(words.windows[-1].kept_end, IGNORED)
    classes[words.first_pieces] = [head.tags.index(tag) if tag in head.tags else IGNORED for tag in tags]
    times = max(copies.get(tag, 1) for tag in tags)
    for window, row in zip(words.windows, encoded.rows, strict=True):
        expected = np.full(len(row), IGNORED)
        first, end = (1 + kept - window.start for kept in (window.kept_start, window.kept_end))
        expected[first:end] = classes[window.kept_start : window.kept_end]
        yield from repeat(TrainingSample([row], expected), times)


def module(head: TaggingHead, width: int) -> "nn.Module":
    """A linear layer after dropout."""
    from torch import nn

    return nn.ModuleDict({"dropout": nn.Dropout(DROPOUT), "tags": nn.Linear(width, len(head.tags))})


def forward(given: Forward) -> "dict[str, Tensor]":
    """The scores of the tags of each token (batch, length, tags)."""
    assert given.module is not None
    layers: Any = given.module
    return {"tags": layers["tags"](layers["dropout"](given.hidden))}


def loss(given: Outputs) -> Loss:
    """Cross-entropy of the first pieces of words."""
    from torch.nn.functional import cross_entropy

    from focus_plugin.finetuning.samples import IGNORED

    logits, expected = given.outputs[0]["tags"], given.expected.long()
    total = cross_entropy(logits.flatten(0, 1), expected.flatten(), ignore_index=IGNORED, reduction="sum")
    return Loss(total=total, count=int((expected != IGNORED).sum()))


def metrics(expected: Sequence[TaggedSentence], results: Sequence[Tagging]) -> Mapping[str, float]:
    """The scores of the tags of given words: F1 of entities, or accuracy of plain tags."""
    from focus_plugin.tagging.scores import accuracy, entity_scores

    wanted, found = (
        [sentence.tags for sentence in expected],
        [[token.tag for token in result.tokens] for result in results],
    )
    if is_entity_tagset({tag for tags in (*wanted, *found) for tag in tags}):
        return entity_scores(wanted, found)
    return {"accuracy": accuracy(wanted, found)}


def raw_metrics(expected: Sequence[TaggedSentence], results: Sequence[Tagging]) -> Mapping[str, float]:
    """The scores for raw text, by the places of words in it.

    ``words``: the share of words that are found. ``f1``: of entities; or ``accuracy``: the share of words that are
    found with the expected tag.
    """
    from focus_plugin.tagging.scores import f1

    words, found = set(), set()
    entities, found_entities = set(), set()
    for number, (sentence, result) in enumerate(zip(expected, results, strict=True)):
        spans = list(sentence.spans)
        words |= {(number, tag, *span) for tag, span in zip(sentence.tags, spans, strict=True)}
        found |= {(number, token.tag, token.start, token.end) for token in result.tokens}
        entities |= {
            (number, kind, spans[first][0], spans[end - 1][1]) for kind, first, end in entities_of(sentence.tags)
        }
        found_entities |= {(number, entity.type, entity.start, entity.end) for entity in result.entities}
    places = {(number, *span) for number, _, *span in words} & {(number, *span) for number, _, *span in found}
    scores = {"words": len(places) / len(words)}
    if is_entity_tagset({tag for _, tag, *_ in words | found}):
        return {**scores, "f1": f1(entities, found_entities)}
    return {**scores, "accuracy": len(words & found) / len(words)}


def baseline(expected: Sequence[TaggedSentence]) -> float:
    """The F1 without any entity, which is 0, or the accuracy of always giving the commonest tag."""
    counts = Counter(tag for sentence in expected for tag in sentence.tags)
    return 0.0 if is_entity_tagset(counts) else max(counts.values()) / counts.total()


def words_of(example: Example, result: Tagging) -> Iterator[tuple[Example, TaggedWord]]:
    """Each word of a sentence with its tag; its text is the word in brackets with the words around it."""
    sentence: TaggedSentence = example.expected
    for number, (line, tag, token) in enumerate(zip(sentence.lines, sentence.tags, result.tokens, strict=True)):
        before = sentence.words[max(0, number - AROUND) : number]
        after = sentence.words[number + 1 : number + 1 + AROUND]
        yield Example(line, " ".join((*before, f"[{token.text}]", *after)), tag), token


def compared_tags(expected: str, found: TaggedWord) -> Outcome:
    """The expected and the predicted tag of a word."""
    return Outcome(expected, found.tag, float(expected != found.tag))


HEAD = TaskHead(
    name="tagging",
    summary="Tag each word of a text: entities, parts of speech, or others.",
    columns=TagColumns,
    examples=examples,
    fault=fault,
    metrics=metrics,
    baseline=baseline,
    compared=compared_tags,
    parts=words_of,
    forms={"raw": OtherForm(example=raw_text, metrics=raw_metrics)},
    module=module,
    forward=forward,
    finetuning=Finetuning(options=SamplingOptions, prepare=prepare, loss=loss),
)
