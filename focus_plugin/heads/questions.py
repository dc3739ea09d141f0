"""Answers to questions that are a part of a given context, as in SQuAD."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_export.heads.questions import (
    LONGEST_ANSWER,
    N_BEST,
    AnsweredQuestion,
    QuestionsHead,
    ReadContext,
    visible_part,
)

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
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
)
from focus_plugin.finetuning.options import SamplingOptions
from focus_plugin.options import option
from focus_plugin.question_answering.files import FieldNames, GivenAnswer, GivenQuestion, read_questions
from focus_plugin.training.options import learning_rate_option

if TYPE_CHECKING:
    import numpy as np
    from focus_export.head import Encoded
    from torch import Tensor, nn

    from focus_plugin.finetuning.samples import TrainingSample

NO_ANSWER = "(no answer)"
LEFT_OUT = "left_out.jsonl"  # in the release: the answers that are not where the table says


@dataclass(frozen=True, kw_only=True)
class QuestionColumns:
    """The fields of the objects in JSON Lines."""

    question_field: str = option("question", help="Field with the question, in JSON Lines.")
    context_field: str = option("context", help="Field with the text that has the answer, in JSON Lines.")
    answers_field: str = option(
        "answers", help="Field with the answers, in JSON Lines: an object with the lists text and answer_start."
    )


@dataclass(frozen=True, kw_only=True)
class QuestionsFinetuning(SamplingOptions):
    """The options of ``focus finetune questions``."""

    epochs: int = option(3, minimum=1, help="Passes over the table.")
    learning_rate: float = learning_rate_option(3e-5)
    window: int = option(
        384, minimum=8, help="Tokens of question and context that are read together, at most those of the encoder."
    )
    stride: int | None = option(
        None,
        minimum=0,
        help="Tokens that two consecutive windows of a long context share; by default a third of --window.",
    )
    longest_answer: int = option(LONGEST_ANSWER, minimum=1, help="Largest number of tokens of a predicted answer.")
    n_best: int = option(N_BEST, minimum=1, help="How many of the best answers the model gives.")
    strict: bool = option(
        False,
        help="Refuse tables with answers that are not at their place in the context, instead of leaving them out.",
    )


def examples(path: Path, columns: QuestionColumns, progress: Progress) -> Iterator[Example]:
    """The questions of a file. Raises FocusError as :func:`read_questions` does."""
    names = FieldNames(question=columns.question_field, context=columns.context_field, answers=columns.answers_field)
    for asked in read_questions(path, names, progress):
        yield Example(asked.line, (asked.question, asked.context), None if asked.answers is None else asked)


def prepare(given: Preparation) -> Prepared:
    """Write a training sample for each window of each question, except those whose answers do not fit their context.

    With balanced sampling, the rarer of questions with and without an answer are there several times.

    Raises FocusError, with file and line, for a question that is too long, and for one without the field of answers;
    with ``strict`` for an answer that does not fit; and for a table of which nothing is left, for a
    training table without an answer, and for one that cannot be balanced.
    """
    import json

    from focus_plugin.finetuning.samples import write_samples

    options: Any = given.options
    window = min(options.window, given.max_positions)
    stride = window // 3 if options.stride is None else options.stride
    head = QuestionsHead(window, stride, options.longest_answer, options.n_best)
    if fault := head.fault():
        raise FocusError(f"{fault}; change --window or --stride.")
    copies = {"train": _copies(given)} if options.class_sampling == "balanced" else {}
    tables, windows = {}, {}
    for split, table in given.tables.items():
        tables[split] = _Table(split=split, strict=options.strict, copies=copies.get(split, {}))
        windows[split] = write_samples(given, split, head, tables[split].samples)
        usable = tables[split].answered if split == "train" else windows[split]
        if not usable and split != "test":
            raise FocusError(f"{table}: no question has an answer that is at its place in the context.")
    lines = [json.dumps(entry, ensure_ascii=False) + "\n" for table in tables.values() for entry in table.left_out]
    (given.directory / LEFT_OUT).write_text("".join(lines), encoding="utf-8")
    return Prepared(
        head=head,
        samples=windows["train"],
        counts={"questions": {split: dict(table.counts) for split, table in tables.items()}, "windows": windows},
        files=(LEFT_OUT,),
        warnings=tuple(sentence for table in tables.values() if (sentence := table.warning())),
    )


def _copies(given: Preparation) -> Mapping[bool, int]:
    """How many times an epoch has a question of the training table, by whether it has an answer.

    Raises FocusError if the table has questions of one kind only.
    """
    table, options = given.tables["train"], given.options
    assert isinstance(options, SamplingOptions)
    asked = [example.expected for example in given.examples(table) if example.expected]
    counts = Counter(
        bool(each.answers)
        for each in asked
        if not each.answers or any(answer.fits(each.context) for answer in each.answers)
    )
    if len(counts) < 2:
        raise FocusError(f"{table}: --class-sampling balanced needs questions with an answer and some without one.")
    return options.copies(counts)


@dataclass(frozen=True, kw_only=True)
class _Table:
    """The questions of a table.

    strict: whether answers that do not fit are refused. copies: by whether a question has an answer, how many times an
    epoch has it; once if it is not there. counts: of the questions, of those without an answer, and of
    those that are left out because none of their answers fits. left_out: the answers that do not fit.
    """

    split: str
    strict: bool
    copies: Mapping[bool, int]
    counts: Counter[str] = field(default_factory=Counter)
    left_out: list[dict[str, object]] = field(default_factory=list)

    def samples(self, example: Example, encoded: "Encoded") -> "Iterator[TrainingSample]":
        """The training samples of a question, none if it is left out."""
        asked: GivenQuestion | None = example.expected
        place = example.place
        if asked is None:
            raise FocusError(f"{place}: has no field of answers; a question without an answer needs empty lists.")
        answers = asked.answers or ()
        spans = [answer_pieces(encoded.context, answer) for answer in answers]
        misplaced = [answer for answer, span in zip(answers, spans, strict=True) if span is None]
        if misplaced and self.strict:
            named = "" if asked.id is None else f", id {asked.id!r}"
            raise FocusError(f"{place}{named}: {_misplaced(misplaced[0], asked.context)}.")
        self.left_out.extend(_listed(self.split, asked, answer) for answer in misplaced)
        fitting = [span for span in spans if span]
        self.counts.update(questions=1, without_answer=not answers, left_out=bool(answers) and not fitting)
        if fitting or not answers:
            for sample in window_samples(encoded, fitting[0] if fitting else None):
                yield from repeat(sample, self.copies.get(bool(answers), 1))

    @property
    def answered(self) -> int:
        """The number of questions with an answer that fits."""
        return self.counts["questions"] - self.counts["without_answer"] - self.counts["left_out"]

    def warning(self) -> str | None:
        """A sentence about the answers that do not fit, None if all do."""
        if not self.left_out:
            return None
        listed = (
            f"{len(self.left_out):,} answers are not at their place in the context; {LEFT_OUT} in the output has them"
        )
        left_out = (
            f", and {self.counts['left_out']:,} of {self.counts['questions']:,} questions are left out of training"
        )
        return f"{self.split}: {listed}{'' if self.split == 'test' else left_out}."


def window_samples(encoded: "Encoded", span: tuple[int, int] | None) -> "Iterator[TrainingSample]":
    """A sample for each window of a question: the columns of the first and of the last token of the answer, and where
    the context begins and ends. In a window without the whole answer, both columns are that of ``<s>``.

    ``span``: the first and the last piece of the answer, None if there is none.
    """
    import numpy as np

    from focus_plugin.finetuning.samples import TrainingSample

    read: ReadContext = encoded.context
    for first, row in zip(read.windows, encoded.rows, strict=True):
        end = len(row) - 1  # the column of </s>
        columns = [place - first + read.column for place in span or ()]
        inside = columns and read.column <= columns[0] and columns[1] < end
        yield TrainingSample([row], np.array([*(columns if inside else (0, 0)), read.column, end]))


def answer_pieces(read: ReadContext, answer: GivenAnswer) -> tuple[int, int] | None:
    """The first and the last piece of an answer; None if it is not at its place in the context, or has no piece."""
    import numpy as np

    if answer.start is None or not answer.fits(read.context):
        return None
    start, end = visible_part(read.context, answer.start, answer.start + len(answer.text))
    first = int(np.searchsorted(read.ends, start, "right"))
    last = int(np.searchsorted(read.starts, end, "left")) - 1
    return (first, last) if first <= last else None


def _misplaced(answer: GivenAnswer, context: str) -> str:
    if answer.start is None:
        return f"the answer {answer.text!r} has no 'answer_start'"
    if answer.fits(context):
        return f"the answer {answer.text!r} has no visible characters"
    there = context[max(0, answer.start) :][: len(answer.text)]
    return f"the context has {there!r} at character {answer.start}, not the answer {answer.text!r}"


def _listed(split: str, asked: GivenQuestion, answer: GivenAnswer) -> dict[str, object]:
    """An answer that does not fit, for the file of those that are left out."""
    found = asked.context.find(answer.text)
    return {
        "table": split,
        "line": asked.line,
        "id": asked.id,
        "answer": answer.text,
        "answer_start": answer.start,
        "found_at": None if found < 0 else found,
    }


def module(head: QuestionsHead, width: int) -> "nn.Module":
    """A linear layer with two outputs, for the start and the end."""
    from torch import nn

    return nn.ModuleDict({"spans": nn.Linear(width, 2)})


def forward(given: Forward) -> "dict[str, Tensor]":
    """``spans`` (batch, length, 2)."""
    assert given.module is not None
    layers: Any = given.module
    return {"spans": layers["spans"](given.hidden)}


def loss(given: Outputs) -> Loss:
    """The mean cross-entropy of start and end over the tokens of the context and ``<s>``, which means no answer.

    See Devlin et al. 2019, section 4.3.
    """
    import torch
    from torch.nn.functional import cross_entropy

    spans = given.outputs[0]["spans"]
    start, end, first, last = given.expected.long().unbind(1)
    columns = torch.arange(spans.shape[1], device=spans.device)
    allowed = (columns == 0) | ((columns >= first[:, None]) & (columns < last[:, None]))
    logits = spans.masked_fill(~allowed[..., None], -torch.inf)
    total = cross_entropy(logits[..., 0], start, reduction="sum") + cross_entropy(logits[..., 1], end, reduction="sum")
    return Loss(total=total / 2, count=len(spans))


def metrics(expected: Sequence[Any], results: Sequence[AnsweredQuestion]) -> Mapping[str, float]:
    """F1 and exact match, between 0 and 1, by the rules of SQuAD's official script.

    If some questions have no answer, also the F1 of those that have one, and the share of the others that are not
    answered.
    """
    import numpy as np

    from focus_plugin.question_answering.scores import answer_scores

    wanted = list(map(_texts, expected))
    scores = [answer_scores(texts, result.answer.text) for texts, result in zip(wanted, results, strict=True)]
    f1, exact = np.array(scores).T
    found = {"f1": float(f1.mean()), "exact_match": float(exact.mean())}
    answerable = _answerable(wanted)
    if answerable.any() and not answerable.all():
        found |= {"f1_with_answer": float(f1[answerable].mean()), "f1_without_answer": float(f1[~answerable].mean())}
    return found


def baseline(expected: Sequence[GivenQuestion]) -> float:
    """The F1 of answering no question."""
    return float(1 - _answerable(list(map(_texts, expected))).mean())


def compared(expected: GivenQuestion, result: AnsweredQuestion) -> Outcome:
    """The answers; the error is 1 minus their F1."""
    from focus_plugin.question_answering.scores import answer_scores

    texts = _texts(expected)
    f1, _ = answer_scores(texts, result.answer.text)
    return Outcome(" | ".join(texts) or NO_ANSWER, result.answer.text or NO_ANSWER, 1 - f1, classes=False)


def adjust(
    head: QuestionsHead, expected: Sequence[GivenQuestion], results: Sequence[AnsweredQuestion]
) -> QuestionsHead:
    """The threshold for no answer with the highest F1, if there are questions without an answer."""
    from focus_plugin.question_answering.scores import answer_scores, no_answer_threshold

    wanted = list(map(_texts, expected))
    if _answerable(wanted).all():
        return head
    best = [result.n_best[0].text if result.n_best else "" for result in results]
    gains = [
        answer_scores(texts, answer)[0] - answer_scores(texts, "")[0]
        for texts, answer in zip(wanted, best, strict=True)
    ]
    threshold = no_answer_threshold(gains, [result.no_answer_score for result in results])
    return replace(head, no_answer_threshold=threshold)


def _texts(expected: GivenQuestion | AnsweredQuestion) -> list[str]:
    """The expected answers: those of a table, or that of the exact model."""
    if isinstance(expected, GivenQuestion):
        return [answer.text for answer in expected.answers or ()]
    return [expected.answer.text] if expected.answer.text else []


def _answerable(wanted: Sequence[Sequence[str]]) -> "np.ndarray":
    import numpy as np

    from focus_plugin.question_answering.scores import plain_answer

    return np.array([any(map(plain_answer, texts)) for texts in wanted])


HEAD = TaskHead(
    name="questions",
    summary="Answer questions with a part of a given text.",
    columns=QuestionColumns,
    examples=examples,
    metrics=metrics,
    baseline=baseline,
    compared=compared,
    module=module,
    forward=forward,
    finetuning=Finetuning(options=QuestionsFinetuning, prepare=prepare, loss=loss, adjust=adjust),
)
