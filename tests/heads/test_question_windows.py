"""Windows of long contexts, and answers found in them, compared with transformers and with every possible answer."""

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import regex
import transformers
from export_models import random_words
from focus_export.head import Encoded
from focus_export.heads.questions import AnsweredQuestion, QuestionsHead, visible_part, with_marks
from focus_export.tokenizer import TextTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_kinds import byte_level
from vocabularies import train_on

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.tokenizer import release_tokenizer
from focus_plugin.heads.questions import answer_pieces, window_samples
from focus_plugin.question_answering.files import GivenAnswer
from focus_plugin.text import Text
from focus_plugin.vocabulary.huggingface import hugging_face_sentencepiece
from focus_plugin.vocabulary.importing import import_vocabulary

HEAD = QuestionsHead(window=24, stride=5, longest_answer=4, n_best=3)
ODD = ["\t", "\r\n", "\u00a0", "\u3000", "\u200b", "\ufeff", "\0", "ﬁ", "①½", "㎏", "ﷺ", "漢字", "😀", "👩\u200d🚀"]
MARKS = ["\u0301", "\u0323", "\u0300", "\u0e35", "\u0e48", "\u0940"]
MARKED = ["e\u0301", "x\u0323\u0300", "\u0e17\u0e35\u0e48", "\u0915\u0940"]
CONTEXTS = st.lists(st.sampled_from([*"katamisuno.,    ", *ODD, *MARKED]), max_size=80).map("".join)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextTokenizer, Encoder, Path]:
    """The tokenizer of a release, with the encoder of its training data."""
    root = tmp_path_factory.mktemp("release")
    words = random_words(3000, seed=3)
    lines = [" ".join(words[start : start + 8]) for start in range(0, len(words), 8)]
    (root / "text.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (directory := root / "vocab").mkdir()
    train_on(root / "text.txt", 120, directory)
    encoder = Encoder.load(directory)
    return release_tokenizer(directory, encoder, 40), encoder, directory


@pytest.fixture(scope="module")
def tokenizers(
    release: tuple[TextTokenizer, Encoder, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, TextTokenizer]:
    """That of the release, and one of which several pieces can be parts of one character."""
    root, text = tmp_path_factory.mktemp("bytes"), release[2].with_name("text.txt")
    byte_level(text.read_text(encoding="utf-8").splitlines(), 300).save(str(root / "tokenizer.json"))
    (directory := root / "vocab").mkdir()
    import_vocabulary(Text.of(text), root / "tokenizer.json", directory)
    return {"sentencepiece": release[0], "byte-level": release_tokenizer(directory, Encoder.load(directory), 40)}


def test_windows_are_those_of_transformers(release: tuple[TextTokenizer, Encoder, Path]) -> None:
    tokenizer, encoder, directory = release
    library = hugging_face_sentencepiece(directory / "sentencepiece.bpe.model", encoder.vocabulary)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=library)
    draw, words = random.Random(2), random_words(300, seed=9)
    for length in (1, 3, 8, 9, 10, 11, 12, 13, 14, 20, 40, 90):
        question, context = (" ".join(draw.choices(words, k=count)) for count in (draw.randint(1, 2), length))
        encoded = HEAD.encode(tokenizer, (question, context), True)
        want = theirs(
            *(question, context),
            truncation="only_second",
            max_length=HEAD.window,
            stride=HEAD.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        assert [row.tolist() for row in encoded.rows] == want["input_ids"]
        read = encoded.context
        for first, row, offsets in zip(read.windows, want["input_ids"], want["offset_mapping"], strict=True):
            own = slice(first, first + len(row) - read.column - 1)
            spans = list(zip(read.starts[own].tolist(), read.ends[own].tolist(), strict=True))
            visible = [(visible_part(context, *span), span) for span in offsets[read.column : -1]]
            assert spans == [part if part[0] < part[1] else (span[1], span[1]) for part, span in visible]


def test_a_question_is_refused_or_cut_if_no_context_would_be_left(release: tuple[TextTokenizer, Encoder, Path]) -> None:
    tokenizer, _, _ = release
    sample = ("ka " * 60, "ta " * 60)
    with pytest.raises(FocusError, match=r"the question 'ka ka .*' has \d+ tokens, and the model takes at most 15"):
        HEAD.encode(tokenizer, sample, False)
    cut = HEAD.encode(tokenizer, sample, True)
    assert {len(row) for row in cut.rows[:-1]} == {HEAD.window}
    assert cut.context.column == 15 + 3
    for wrong in (("ka", "ta\ud800"), ("ka\ud800", "ta")):
        with pytest.raises(FocusError, match="not valid Unicode"):
            HEAD.encode(tokenizer, wrong, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 13}, "windows of 13 tokens cannot share 5"),
        ({"window": 5, "stride": 0}, "windows of 5 tokens cannot share 0"),
        ({"stride": -1}, '"stride" must be at least 0'),
        ({"n_best": 0}, '"n_best" at least 1'),
        ({"longest_answer": "4"}, "whole numbers"),
        ({"no_answer_threshold": "4"}, '"no_answer_threshold" must be a number'),
    ],
)
def test_impossible_settings_are_told(changes: dict[str, object], message: str) -> None:
    assert message in replace(HEAD, **changes).fault()
    assert HEAD.fault() is None


def _outputs(encoded: Encoded, seed: int) -> list[dict[str, np.ndarray]]:
    draw = np.random.default_rng(seed)
    return [{"spans": draw.standard_normal((len(row), 2)).astype(np.float32)} for row in encoded.rows]


def _every_answer(encoded: Encoded, outputs: list[dict[str, np.ndarray]], text: str) -> dict[tuple[int, int], float]:
    """The probability of every possible answer, one window and one pair of tokens at a time; (0, 0) is no answer."""
    read, scores = encoded.context, {}
    for first, row, part in zip(read.windows, encoded.rows, outputs, strict=True):
        for start in range(read.column, len(row) - 1):
            for end in range(start, min(start + HEAD.longest_answer, len(row) - 1)):
                pieces = (start - read.column + first, end - read.column + first)
                if all(read.starts[piece] < read.ends[piece] for piece in pieces):
                    score = float(part["spans"][start, 0]) + float(part["spans"][end, 1])
                    scores[pieces] = max(score, scores.get(pieces, -np.inf))
    nothing = min(float(part["spans"][0].astype(float).sum()) for part in outputs)
    weights = {pieces: np.exp(score) for pieces, score in scores.items()}
    total = sum(weights.values()) + np.exp(nothing)
    found = {(0, 0): np.exp(nothing) / total}
    for (start, end), weight in weights.items():
        place = with_marks(text, int(read.starts[start]), int(read.ends[end]))
        found[place] = max(found.get(place, 0.0), weight / total)
    return found


@pytest.mark.parametrize("kind", ["sentencepiece", "byte-level"])
@settings(max_examples=150, deadline=None)
@given(CONTEXTS, st.integers(0, 9), st.sampled_from([-100.0, -1.0, 0.0, 1.0, 100.0]))
def test_answers_are_the_best_parts_of_the_context(
    tokenizers: dict[str, TextTokenizer], kind: str, context: str, seed: int, threshold: float
) -> None:
    """Whatever normalization does, and across windows."""
    encoded = HEAD.encode(tokenizers[kind], ("ka mi", context, "q"), False)
    outputs = _outputs(encoded, seed)
    result = replace(HEAD, no_answer_threshold=threshold).result(encoded, outputs)
    every = _every_answer(encoded, outputs, context)
    nothing = every.pop((0, 0))
    for answer in (*result.n_best, result.answer):
        assert context[answer.start : answer.end] == answer.text
    for answer in result.n_best:
        assert 0 <= answer.start < answer.end
        assert answer.text == answer.text.strip()
        assert context[answer.end : answer.end + 1] not in MARKS, "those of its last character are in it"
        assert not regex.search(r"[^\p{Z}\p{Cc}\p{Cf}]\z", context[: answer.start]) or answer.text[0] not in MARKS
        assert answer.score == pytest.approx(every[answer.start, answer.end])
    best = sorted(every.values(), reverse=True)[: HEAD.n_best]
    assert [answer.score for answer in result.n_best] == pytest.approx(best)
    assert len({(answer.start, answer.end) for answer in result.n_best}) == len(best)
    if best:
        assert result.no_answer_score == pytest.approx(np.log(nothing) - np.log(best[0]), abs=1e-6)
    answered = bool(best) and result.no_answer_score <= threshold
    assert result.answer == result.n_best[0] if answered else result.answer.text == ""
    assert result.answer.score == pytest.approx(best[0] if answered else nothing)
    always = HEAD.result(encoded, outputs)
    assert always.answer.text == (result.n_best[0].text if best else "")
    assert [answer.text for answer in always.n_best] == [answer.text for answer in result.n_best]
    assert json.loads(json.dumps(HEAD.record(always), allow_nan=False))["id"] == "q"


@pytest.mark.parametrize("kind", ["sentencepiece", "byte-level"])
@settings(max_examples=150, deadline=None)
@given(CONTEXTS, st.data())
def test_training_samples_have_the_answer_where_it_is(
    tokenizers: dict[str, TextTokenizer], kind: str, context: str, data: st.DataObject
) -> None:
    """Each window that has all of an answer's pieces; together the pieces have all of the answer's characters."""
    start = data.draw(st.integers(0, len(context)))
    end = data.draw(st.integers(start, len(context)))
    encoded = HEAD.encode(tokenizers[kind], ("ka", context), False)
    read, span = encoded.context, answer_pieces(encoded.context, GivenAnswer(text=context[start:end], start=start))
    begin, after = visible_part(context, start, end)
    if begin < after:
        assert span is not None
        assert read.starts[span[0]] < after
        assert begin < read.ends[span[1]]
        missing = context[begin : read.starts[span[0]]] + context[read.ends[span[1]] : after]
        assert visible_part(missing, 0, len(missing)) == (len(missing), len(missing))
        if span[0] < span[1]:  # no piece too many
            assert read.ends[span[0]] > begin
            assert read.starts[span[1]] < after
    samples = list(window_samples(encoded, span))
    found = set()
    for first, row, sample in zip(read.windows, encoded.rows, samples, strict=True):
        assert sample.rows[0] is row
        one, last, column, length = sample.expected.tolist()
        assert (column, length) == (read.column, len(row) - 1)
        inside = span is not None and first <= span[0] and span[1] < first + len(row) - 1 - column
        assert (one > 0) == (last > 0) == inside
        if inside:
            found.add((one - column + first, last - column + first))
    assert found <= {span}
    assert all(second - first <= HEAD.window for first, second in pairwise(read.windows))


def test_an_answer_elsewhere_has_no_pieces(release: tuple[TextTokenizer, Encoder, Path]) -> None:
    read = HEAD.encode(release[0], ("ka", "Kata mi."), False).context
    for text, start in (("mi", 4), ("mi", None), ("mi", -3), ("Kata mi. Su", 0), ("mi", 500)):
        assert answer_pieces(read, GivenAnswer(text=text, start=start)) is None


def test_without_a_context_there_is_no_answer(release: tuple[TextTokenizer, Encoder, Path]) -> None:
    for context in ("", " \u00a0\r\n\u200b"):
        encoded = HEAD.encode(release[0], ("ka", context), False)
        result = HEAD.result(encoded, _outputs(encoded, 1))
        assert isinstance(result, AnsweredQuestion)
        assert (result.answer.text, result.answer.score, result.n_best) == ("", 1.0, ())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "is not a JSON object"),
        ('{"question": "ka"', "is not a JSON object"),
        ("[" * 100_000, "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ('{"question": "ka"}', 'has no string "context"'),
        ('{"question": null, "context": ""}', 'has no string "question"'),
    ],
)
def test_lines_that_are_no_questions_are_told(line: str, message: str) -> None:
    with pytest.raises(FocusError, match=message):
        HEAD.sample(line)
    assert HEAD.sample('{"question": "ka", "context": "mi"}') == ("ka", "mi")
    assert HEAD.sample('{"question": "ka", "context": "mi", "id": 3}') == ("ka", "mi", "3")
