"""Files of questions as they are found, and what is wrong with others."""

import gzip
import json
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from focus_plugin.errors import FocusError
from focus_plugin.question_answering.files import FieldNames, GivenAnswer, GivenQuestion, read_questions

NAMES = FieldNames(question="question", context="context", answers="answers")
CONTEXT = 'Kata 😀 mu\u00a0ti\r\n"ka" sa.'


def _record(**changes: object) -> dict[str, object]:
    answers = {"text": ["mu\u00a0ti"], "answer_start": [7]}
    return {"id": "q1", "question": "Nani?", "context": CONTEXT, "answers": answers, **changes}


def _questions(path: Path, *records: object, names: FieldNames = NAMES) -> list[GivenQuestion]:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return list(read_questions(path, names))


def _squad(version: str) -> dict[str, object]:
    """Two articles, three questions; in version 2.0 the last one has no answer."""
    first = {"id": "a", "question": "Nani?", "answers": [{"text": "Kata", "answer_start": 0}] * 2}
    second = {"id": "b", "question": 'Wapi "id": ?', "answers": [{"text": "sa", "answer_start": 19}]}
    third = {"id": "c", "question": "Lini?", "answers": [{"text": "ti", "answer_start": 10}]}
    if version == "v2.0":
        plausible = [{"text": "ti", "answer_start": 10}]
        third |= {"is_impossible": True, "answers": [], "plausible_answers": plausible}
    articles = [
        {"title": "Moja", "paragraphs": [{"context": CONTEXT, "qas": [first, second]}]},
        {"title": "Mbili", "paragraphs": [{"context": CONTEXT, "qas": [third]}]},
    ]
    return {"version": version, "data": articles}


def test_json_lines_in_the_layout_of_hugging_face(tmp_path: Path) -> None:
    found = _questions(tmp_path / "q.jsonl", _record(), _record(id=2, answers={"text": [], "answer_start": []}))
    answer = GivenAnswer(text="mu\u00a0ti", start=7)
    assert answer.fits(CONTEXT)
    assert found == [
        GivenQuestion(line=1, id="q1", question="Nani?", context=CONTEXT, answers=(answer,)),
        GivenQuestion(line=2, id="2", question="Nani?", context=CONTEXT, answers=()),
    ]


def test_json_lines_in_the_layout_of_afriqa(tmp_path: Path) -> None:
    """As found in the wild: no context, and texts without an offset."""
    record = {
        "id": "0",
        "question_lang": "Nani?",
        "question_translated": "Who?",
        "context": None,
        "title": None,
        "answer_pivot": {"answer_start": [], "text": ["Kata"]},
        "answer_lang": "Kata",
    }
    for field, question in (("question_lang", "Nani?"), ("question_translated", "Who?")):
        names = FieldNames(question=field, context="context", answers="answer_pivot")
        [found] = _questions(tmp_path / "q.json", record, names=names)
        answers = (GivenAnswer(text="Kata", start=None),)
        assert found == GivenQuestion(line=1, id="0", question=question, context="", answers=answers)
        assert not answers[0].fits("Kata")


@pytest.mark.parametrize("version", ["1.1", "v2.0"])
@pytest.mark.parametrize("indent", [None, 1])
def test_squad(tmp_path: Path, version: str, indent: int | None) -> None:
    """On one line or on many, of which the ids' are told; a question may look like an id."""
    text = json.dumps(_squad(version), indent=indent)
    (tmp_path / "q.json.gz").write_bytes(gzip.compress(f"\ufeff\r\n{text}".replace("\n", "\r\n").encode()))
    found = list(read_questions(tmp_path / "q.json.gz", NAMES))
    assert [(asked.id, asked.question, asked.context) for asked in found] == [
        ("a", "Nani?", CONTEXT),
        ("b", 'Wapi "id": ?', CONTEXT),
        ("c", "Lini?", CONTEXT),
    ]
    assert [[answer.text for answer in asked.answers or ()] for asked in found] == [
        ["Kata", "Kata"],
        ["sa"],
        [] if version == "v2.0" else ["ti"],
    ]
    assert all(answer.fits(CONTEXT) for asked in found for answer in asked.answers or ())
    lines = ["", *text.split("\n")]
    assert [asked.line for asked in found] == [
        next(number for number, line in enumerate(lines, 1) if f'"id": "{name}"' in line) for name in "abc"
    ]


def test_an_answer_of_squad_without_its_place(tmp_path: Path) -> None:
    """As in JSON Lines, it is read, and fits nowhere; the official script does not need the place."""
    squad = json.loads(SQUAD)
    del squad["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"]
    asked = _questions(tmp_path / "q.json", squad)[1]
    assert asked.answers == (GivenAnswer(text="sa", start=None),)


def test_answers_that_are_empty_or_unknown(tmp_path: Path) -> None:
    empty = {"text": ["", " \u00a0", "Kata"], "answer_start": [0, 5, 0]}
    unknown = {name: value for name, value in _record(id="q2").items() if name != "answers"}
    first, second = _questions(tmp_path / "q.jsonl", _record(answers=empty), unknown)
    assert first.answers == (GivenAnswer(text="Kata", start=0),)
    assert second.answers is None


@pytest.mark.parametrize(
    ("start", "fits"), [(7, True), (6, False), (-13, False), (-1, False), (100, False), (10**30, False), (None, False)]
)
def test_answers_fit_where_they_are(start: int | None, fits: bool) -> None:
    assert GivenAnswer(text="mu\u00a0ti", start=start).fits(CONTEXT) == fits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": 3}, "the field 'question' is not a string"),
        ({"question": "  "}, "the field 'question' is empty"),
        ({"context": ["ka"]}, "the field 'context' is not a string"),
        ({"id": 1.5}, "the field 'id' is neither"),
        ({"answers": None}, "the field 'answers' must be an object with the lists"),
        ({"answers": [{"text": "ka"}]}, "the field 'answers' must be an object with the lists"),
        ({"answers": {"text": "Kata", "answer_start": 0}}, "the field 'answers' must be an object with the lists"),
        ({"answers": {"text": [None], "answer_start": [0]}}, "a text that is not a string"),
        ({"answers": {"text": ["Kata"], "answer_start": ["0"]}}, "an 'answer_start' that is not a whole number"),
        ({"answers": {"text": ["Kata"], "answer_start": [True]}}, "an 'answer_start' that is not a whole number"),
        ({"answers": {"text": ["Kata"], "answer_start": [0.0]}}, "an 'answer_start' that is not a whole number"),
        ({"answers": {"text": ["Kata"], "answer_start": [0, 1]}}, "1 texts, but 2 offsets"),
        ({"id": "q1"}, r"has the same id, 'q1', as line 1\."),
    ],
)
def test_wrong_fields_are_told_with_their_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(FocusError, match=rf"q\.jsonl, line 2: .*{message}"):
        _questions(tmp_path / "q.jsonl", _record(), _record(**{"id": "q2", **changes}))


SQUAD = json.dumps(_squad("1.1"), indent=1)
SECOND = ("data", 0, "paragraphs", 0, "qas", 1)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("data",), None, ": is not in SQuAD's layout; 'data' is not a list."),
        (("data", 1), "Mbili", ", article 2: is not in SQuAD's layout; it is not an object."),
        (("data", 1, "paragraphs"), ..., ", article 2: is not in SQuAD's layout; 'paragraphs' is missing."),
        (
            ("data", 0, "paragraphs", 0, "qas"),
            {},
            ", article 1, paragraph 1: is not in SQuAD's layout; 'qas' is not a l",
        ),
        (
            ("data", 0, "paragraphs", 0, "context"),
            ...,
            ", article 1, paragraph 1, question 1: is not .*'context' is mis",
        ),
        (
            (*SECOND, "answers"),
            None,
            ", article 1, paragraph 1, question 2: is not in SQuAD's layout; 'answers' is not",
        ),
        (
            (*SECOND, "answers", 0, "text"),
            ...,
            ", article 1, paragraph 1, question 2, answer 1: is not .*'text' is mis",
        ),
        ((*SECOND, "answers", 0, "text"), 3, r", article 1, paragraph 1, question 2 \(line 1\): .* a text that is not"),
        (
            (*SECOND, "question"),
            " ",
            r", article 1, paragraph 1, question 2 \(line 1\): the field 'question' is empty.",
        ),
        (
            (*SECOND, "id"),
            "a",
            r", .*question 2 \(line 1\): has the same id, 'a', as article 1, paragraph 1, question 1 ",
        ),
    ],
)
def test_faults_in_squads_layout_are_told_with_their_place(
    tmp_path: Path, path: tuple[str | int, ...], value: object, says: str
) -> None:
    """A line would not help: the file is usually a single one. ``...``: without the member."""
    whole: Any = _squad("v2.0")
    inside = reduce(getitem, path[:-1], whole)
    inside[path[-1]] = value
    if value is ...:
        del inside[path[-1]]
    (tmp_path / "q.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(FocusError, match=rf"q\.json{says}"):
        list(read_questions(tmp_path / "q.json", NAMES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no questions"),
        (" \n\r\n", "has no questions"),
        ('{"data": []}', "has no questions"),
        (f"{json.dumps(_record())}\n{json.dumps(_record())[:40]}", "line 2: not valid JSON .* may be incomplete"),
        (f"{json.dumps(_record())}\n[1]", "line 2: is not a JSON object"),
        (json.dumps(_record())[:40], "line 1: not valid JSON .* may be incomplete"),
        (json.dumps([_record()]), "line 1: is not a JSON object"),
        (json.dumps({"sentence": "ka"}), "line 1: has no field 'question'; it has 'sentence'"),
        ("{}", "line 1: has no field 'question'; it has none"),
        (SQUAD[: len(SQUAD) // 2], r"line \d\d: not valid JSON .* may be incomplete"),
        (
            SQUAD.replace('"id": "b"', '"id": "a"'),
            r"question 2 \(line \d\d\): has the same id, 'a', as .* \(line \d\d\)",
        ),
        (json.dumps([_record()], indent=1), "is neither JSON Lines nor in SQuAD's layout, which is an object"),
        ("[" * 100_000, "line 1: not valid JSON"),
        ('{"question": "\\udc00", "context": ""}', "line 1: has a lone surrogate"),
        ('{"question": ' + "9" * 5000 + "}", "line 1: not valid JSON"),
    ],
)
def test_wrong_files_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "q.json").write_text(text, encoding="utf-8")
    with pytest.raises(FocusError, match=rf"q\.json.*{message}"):
        list(read_questions(tmp_path / "q.json", NAMES))
    with pytest.raises(FocusError, match="no such file"):
        list(read_questions(tmp_path / "absent.json", NAMES))
