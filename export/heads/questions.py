"""Answers to questions: parts of a context, with their offsets, or no answer."""

import json
import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import LENGTH, PAIR_SPECIALS, Encoded, HeadCard, HuggingFaceHead, Output, ServingHead

from focus_plugin.errors import FocusError
from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np
    from focus_export.nodes import Nodes
    from focus_export.tokenizer import TextTokenizer

LONGEST_ANSWER, N_BEST = 30, 5
_SHOWN = 40  # characters of a question in a message
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Zs")  # categories of white space, control and format characters


@dataclass(frozen=True)
class FoundAnswer:
    """A part of a context: ``context[start:end]`` is ``text``. score: its probability."""

    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class AnsweredQuestion:
    """The result for a question.

    id: of the question, None if it has none. answer: an empty part, from 0 to 0, for no answer. no_answer_score: by how
    much the score of no answer, a sum of logits, is higher than that of the best answer. n_best: the best answers, the
    best one first, even if the question is not answered.
    """

    id: str | None
    answer: FoundAnswer
    no_answer_score: float
    n_best: tuple[FoundAnswer, ...]


@dataclass(frozen=True)
class ReadContext:
    """What the result needs of a question and its context.

    starts, ends: of each piece in the context, without white space around it, int64 (pieces,). visible: whether
    anything is left of it. column: of the first piece in every row of token ids. windows: the first piece of each row.
    """

    id: str | None
    context: str
    starts: "np.ndarray"
    ends: "np.ndarray"
    column: int
    windows: range

    @property
    def visible(self) -> "np.ndarray":
        """Whether a piece has visible characters, bool (pieces,)."""
        return self.starts < self.ends


@dataclass(frozen=True)
class QuestionsHead(ServingHead):
    """The start and the end of the answer, each by a linear layer.

    A row of token ids is ``<s> question </s></s> part of the context </s>``, of at most ``window`` tokens. Consecutive
    parts of a context share ``stride`` tokens, but no more than half of a part. A model without no_answer_threshold
    answers every question.
    """

    name: ClassVar[str] = "questions"
    inputs: ClassVar[tuple[str, ...]] = ("question", "context")
    more_inputs: ClassVar[tuple[str, ...]] = ("id",)
    columns = ("answer", "start", "end", "score", "no_answer_score", "n_best")
    card: ClassVar[HeadCard] = HeadCard(
        pipeline_tag="question-answering",
        texts=("Who won?", "Our team won."),
        line='{"question": "Who won?", "context": "Our team won."}',
        hugging_face="""from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained('.')
model = AutoModelForQuestionAnswering.from_pretrained('.')
row = tokenizer('Who won?', 'Our team won.', return_tensors='pt')
spans = model(**row)
start, end = spans.start_logits.argmax(), spans.end_logits.argmax()
print(tokenizer.decode(row.input_ids[0, start : end + 1]) or 'no answer')""",
    )

    window: int
    stride: int
    longest_answer: int = option(LONGEST_ANSWER, minimum=1, help="Largest number of tokens of an answer.")
    n_best: int = option(N_BEST, minimum=1, help="How many of the best answers are given.")
    no_answer_threshold: float | None = option(
        None,
        help="A question is not answered if its no-answer score is higher; by default as chosen on the validation "
        "questions.",
    )

    def fault(self) -> str | None:
        """A sentence if the numbers are impossible."""
        numbers = (self.window, self.stride, self.longest_answer, self.n_best)
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            return 'a model for questions needs whole numbers as "window", "stride", "longest_answer" and "n_best"'
        if self.stride < 0 or self.longest_answer < 1 or self.n_best < 1:
            return '"stride" must be at least 0, and "longest_answer" and "n_best" at least 1'
        if self.longest_question < 1 or self.stride > (self.window - PAIR_SPECIALS) // 2:
            return (
                f"windows of {self.window} tokens cannot share {self.stride}; they need {PAIR_SPECIALS + 2} tokens, "
                f"and {PAIR_SPECIALS} more than twice those that are shared"
            )
        if not isinstance(self.no_answer_threshold, float | int | None):
            return '"no_answer_threshold" must be a number or null'
        return None

    @property
    def longest_question(self) -> int:
        """The largest number of tokens of a question. A quarter of a window is then left for a part of the context."""
        return (self.window - PAIR_SPECIALS) * 3 // 4

    def outputs(self, width: int) -> tuple[Output, ...]:
        """``spans`` (length, 2): the logits of the start and of the end."""
        return (Output("spans", (LENGTH, 2)),)

    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """A linear layer."""
        nodes.linear(hidden, "head.spans", 2, width, output="spans")

    def sample(self, line: str) -> tuple[str, ...]:
        """Question, context and, if it has one, id in a JSON object. Raises FocusError if the line is not one."""
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FocusError(f"is not a JSON object with a question and its context ({error}).") from error
        if not isinstance(record, dict):
            raise FocusError("is not a JSON object with a question and its context.")
        for name in self.inputs:
            if not isinstance(record.get(name), str):
                raise FocusError(f'has no string "{name}"; a line must be an object with "question" and "context".')
        identity = record.get("id")
        return (record["question"], record["context"], *([] if identity is None else [str(identity)]))

    def encode(self, tokenizer: "TextTokenizer", sample: Sequence[str], truncate: bool) -> Encoded:
        """A row for each part of the context.

        Raises FocusError for a question that is too long, unless it is cut, and for invalid text.
        """
        import numpy as np
        from focus_export.tokenizer import require_text

        question, context, *identity = sample
        if identity and isinstance(identity[0], str):
            require_text(identity[0])
        asked, pieces = tokenizer.ids(question), tokenizer.pieces(context)
        if len(asked) > self.longest_question and not truncate:
            raise FocusError(
                f"the question {question[:_SHOWN]!r} has {len(asked)} tokens, and the model takes at most "
                f"{self.longest_question} of a question; shorten it, or allow it to be truncated."
            )
        left_out, asked = max(0, len(asked) - self.longest_question), asked[: self.longest_question]
        begin = np.array([tokenizer.bos, *asked, tokenizer.eos, tokenizer.eos], np.int32)
        end = np.array([tokenizer.eos], np.int32)
        room = self.window - len(begin) - len(end)
        stride = min(self.stride, room // 2)
        windows = range(0, max(1, len(pieces.ids) - stride), room - stride)
        rows = tuple(np.concatenate([begin, pieces.ids[first : first + room], end]) for first in windows)
        visible = [
            visible_part(context, start, after)
            for start, after in zip(pieces.starts.tolist(), pieces.ends.tolist(), strict=True)
        ]
        starts, ends = np.array(visible, np.int64).reshape(-1, 2).T
        read = ReadContext(identity[0] if identity else None, context, starts, ends, len(begin), windows)
        return Encoded(rows, read, left_out)

    def result(self, encoded: Encoded, outputs: "Sequence[Mapping[str, np.ndarray]]") -> AnsweredQuestion:
        """The best answers; see Devlin et al. 2019, sections 4.2 and 4.3.

        The score of an answer is the sum of the logits of its start and its end, in the window where it is highest. The
        score of no answer is that of ``<s>``, in the window where it is lowest. Probabilities are a softmax over all
        answers that are not too long and, if questions can remain unanswered, no answer.
        """
        import numpy as np

        read: ReadContext = encoded.context
        scores = self._scores(read, outputs)
        nothing = min(float(part["spans"][0].astype(np.float64).sum()) for part in outputs)
        highest = max(nothing, float(scores.max(initial=-np.inf)))
        weights = np.exp(scores - highest)
        weight_of_nothing = float(np.exp(nothing - highest)) if self.no_answer_threshold is not None else 0.0
        total = float(weights.sum()) + weight_of_nothing
        best = self._best(read, scores, weights / total if total else weights)
        no_answer_score = nothing - float(scores.max()) if best else 0.0
        if best and (self.no_answer_threshold is None or no_answer_score <= self.no_answer_threshold):
            return AnsweredQuestion(read.id, best[0], no_answer_score, best)
        probability = weight_of_nothing / total if total else 1.0
        return AnsweredQuestion(read.id, FoundAnswer("", 0, 0, probability), no_answer_score, best)

    def _scores(self, read: ReadContext, outputs: "Sequence[Mapping[str, np.ndarray]]") -> "np.ndarray":
        """The scores of all answers, (pieces, longest answer): by the first piece and the number of further pieces.

        Those that do not begin and end with a visible character are -inf.
        """
        import numpy as np

        visible = read.visible
        scores = np.full((len(visible), self.longest_answer), -np.inf)
        for first, part in zip(read.windows, outputs, strict=True):
            logits = part["spans"][read.column : -1].astype(np.float64)
            own = slice(first, first + len(logits))
            logits[~visible[own]] = -np.inf
            ends = np.append(logits[:, 1], np.full(self.longest_answer, -np.inf))
            following = np.lib.stride_tricks.sliding_window_view(ends, self.longest_answer)[: len(logits)]
            np.maximum(scores[own], logits[:, :1] + following, out=scores[own])
        return scores

    def _best(self, read: ReadContext, scores: "np.ndarray", probabilities: "np.ndarray") -> tuple[FoundAnswer, ...]:
        """The answers with the highest scores, each part of the context once."""
        import numpy as np

        best: dict[tuple[int, int], FoundAnswer] = {}
        for place in np.argsort(-scores, axis=None, kind="stable").tolist():
            first, more = divmod(place, self.longest_answer)
            if len(best) == self.n_best or scores[first, more] == -np.inf:
                break
            start, end = with_marks(read.context, int(read.starts[first]), int(read.ends[first + more]))
            if (start, end) not in best:
                text, probability = read.context[start:end], float(probabilities[first, more])
                best[start, end] = FoundAnswer(text, start, end, probability)
        return tuple(best.values())

    def record(self, result: AnsweredQuestion) -> dict[str, Any]:
        """``id``, ``answer``, ``start``, ``end``, ``score``, ``no_answer_score`` and ``n_best``, a list of answers."""
        return {
            "id": result.id,
            **_answer_record(result.answer),
            "no_answer_score": result.no_answer_score,
            "n_best": [_answer_record(answer) for answer in result.n_best],
        }

    def entries(self) -> "dict[str, Callable[[AnsweredQuestion], tuple[str, Any]]]":
        """What SQuAD's official script reads. ``squad``: the answers by the ids of the questions. ``squad-na``: for its
        option ``--na-prob-file``, the probability that there is no answer, if there is only the best answer besides.
        """
        return {
            "squad": lambda result: (_identity(result), result.answer.text),
            "squad-na": lambda result: (_identity(result), 0.5 + 0.5 * math.tanh(0.5 * result.no_answer_score)),
        }

    def parquet(self, arrow: Any, width: int) -> Any:
        """The columns of a record."""
        answer = [
            *(("answer", arrow.string()), ("start", arrow.int32()), ("end", arrow.int32())),
            ("score", arrow.float32()),
        ]
        return arrow.schema(
            [
                ("id", arrow.string()),
                *answer,
                ("no_answer_score", arrow.float32()),
                ("n_best", arrow.list_(arrow.struct(answer))),
            ]
        )

    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """XLMRobertaForQuestionAnswering."""
        return HuggingFaceHead(
            architecture="QuestionAnswering",
            masked_lm=False,
            tensors={f"spans.{kind}": f"qa_outputs.{kind}" for kind in ("weight", "bias")},
        )


def _identity(result: AnsweredQuestion) -> str:
    if result.id is None:
        raise FocusError('has no "id", by which the answers are stored in this format.')
    return result.id


def _answer_record(answer: FoundAnswer) -> dict[str, Any]:
    return {"answer": answer.text, "start": answer.start, "end": answer.end, "score": answer.score}


def with_marks(text: str, start: int, end: int) -> tuple[int, int]:
    """``start`` and ``end``, moved so that no character is separated from its combining marks.

    Pieces can be: in Thai or Hindi, a vowel or a tone is a mark that may be a piece of its own.
    """
    while start and _is_mark(text[start]) and unicodedata.category(text[start - 1]) not in _INVISIBLE:
        start -= 1
    while end < len(text) and _is_mark(text[end]):
        end += 1
    return start, end


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def visible_part(text: str, start: int, end: int) -> tuple[int, int]:
    """The part of ``text[start:end]`` without white space, control and format characters around it.

    If nothing is left, the end twice.
    """
    while start < end and unicodedata.category(text[start]) in _INVISIBLE:
        start += 1
    last = end
    while start < last and unicodedata.category(text[last - 1]) in _INVISIBLE:
        last -= 1
    return (start, last) if start < last else (end, end)


HEAD = QuestionsHead
