"""Reads questions with their contexts and answers: SQuAD's JSON, and JSON Lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, parse_json, silent
from focus_plugin.finetuning.json_values import json_value
from focus_plugin.finetuning.tables import existing, listed
from focus_plugin.progress import spread
from focus_plugin.text import TextFile

_KEY_OF_ID = re.compile(r'"id"\s*:')


@dataclass(frozen=True, kw_only=True)
class FieldNames:
    """The names of the fields of an object in JSON Lines. SQuAD's own layout always has the same names."""

    question: str
    context: str
    answers: str


@dataclass(frozen=True, kw_only=True)
class GivenAnswer:
    """An answer as a file gives it. start: its offset in the context, in characters; None if the file has none."""

    text: str
    start: int | None

    def fits(self, context: str) -> bool:
        """Whether the answer is at its place in the context."""
        return self.start is not None and self.start >= 0 and context[self.start :][: len(self.text)] == self.text


@dataclass(frozen=True, kw_only=True)
class GivenQuestion:
    """A question of a file.

    line: its first line. id: None if it has none. context: "" if the file has null. answers: an empty tuple if it has
    no answer; None if the file does not say what the answers are.
    """

    line: int
    id: str | None
    question: str
    context: str
    answers: tuple[GivenAnswer, ...] | None


def read_questions(path: Path, names: FieldNames, progress: Progress = silent) -> Iterator[GivenQuestion]:
    """The questions of a file: JSON in the layout of SQuAD 1.1 or 2.0, or JSON Lines.

    An object of JSON Lines has a question, a context and, as Hugging Face's data sets have, the object ``answers`` with
    the lists ``text`` and ``answer_start``. The file may be compressed. Answers without text are left out, as the
    official script for SQuAD 2.0 does. Raises FocusError, with file and line (in SQuAD's layout also with article,
    paragraph and question, since a file is often one line), for anything else, for two questions with one id, and for a
    file without questions.
    """
    places: dict[str, str] = {}
    asked = None
    for line, place, record in _records(path, names, progress):
        try:
            asked = _question(line, record, names)
        except FocusError as error:
            raise FocusError(f"{path}, {place}: {error}") from error
        if asked.id in places:
            raise FocusError(f"{path}, {place}: has the same id, {asked.id!r}, as {places[asked.id]}.")
        if asked.id is not None:
            places[asked.id] = place
        yield asked
    if asked is None:
        raise FocusError(f"{path}: has no questions.")


def _records(path: Path, names: FieldNames, progress: Progress) -> Iterator[tuple[int, str, Any]]:
    """The line, the place in the file and the object of each question, with the fields ``names``."""
    read: list[int] = []  # bytes that progress is not told of yet
    lines = enumerate(TextFile.of(existing(path)).lines(read.append), 1)
    for number, line in lines:
        if not line.strip():
            continue
        if _is_record(line):
            for place, text in chain([(number, line)], lines):
                progress(sum(read))
                read.clear()
                if text.strip():
                    yield place, f"line {place}", json_value(path, text, place)
        else:
            whole = "\n".join([line, *(text for _, text in lines)])
            yield from spread(sum(read), list(_squad(path, whole, number, names)), progress)


def _is_record(line: str) -> bool:
    """Whether the first line of a file is an object of JSON Lines. SQuAD's files can be one line, too."""
    try:
        found = parse_json(line)
    except ValueError:
        return False
    return not (isinstance(found, dict) and "data" in found)


def _squad(path: Path, text: str, first: int, names: FieldNames) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The questions of a file in SQuAD's layout, as objects of JSON Lines, with their lines and places."""
    whole = json_value(path, text, first)
    if not isinstance(whole, dict):
        raise FocusError(f"{path}: is neither JSON Lines nor in SQuAD's layout, which is an object.")
    records = [
        (place.removeprefix(f"{path}, "), _squad_record(place, paragraph, asked, names))
        for within, article in _objects(str(path), whole, "data", "article")
        for inside, paragraph in _objects(within, article, "paragraphs", "paragraph")
        for place, asked in _objects(inside, paragraph, "qas", "question")
    ]
    ends = [match.start() for match in _KEY_OF_ID.finditer(text)]
    line, before = first, 0
    for number, (place, record) in enumerate(records):
        if len(ends) == len(records):  # the id is the only way to find a question's line
            line += text.count("\n", before, ends[number])
            before = ends[number]
        yield line, f"{place} (line {line})", record


def _squad_record(place: str, paragraph: dict[str, Any], asked: dict[str, Any], names: FieldNames) -> dict[str, Any]:
    """A question in SQuAD's layout as an object of JSON Lines."""
    record = {
        "id": _member(place, asked, "id"),
        names.question: _member(place, asked, "question"),
        names.context: _member(place, paragraph, "context"),
    }
    if "answers" in asked:
        answers = list(_objects(place, asked, "answers", "answer"))
        record[names.answers] = {
            "text": [_member(within, answer, "text") for within, answer in answers],
            "answer_start": [answer.get("answer_start") for _, answer in answers],
        }
    return record


def _objects(place: str, found: dict[str, Any], name: str, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in the list ``name`` of an object, each with its place, such as "q.json, article 2, paragraph 1".

    Raises FocusError, with the place, if it is not a list of objects.
    """
    members = _member(place, found, name)
    if not isinstance(members, list):
        raise FocusError(f"{place}: is not in SQuAD's layout; {name!r} is not a list.")
    for number, member in enumerate(members, 1):
        within = f"{place}, {kind} {number}"
        if not isinstance(member, dict):
            raise FocusError(f"{within}: is not in SQuAD's layout; it is not an object.")
        yield within, member


def _member(place: str, found: dict[str, Any], name: str) -> Any:
    """A member of an object. Raises FocusError, with the place, if it is missing."""
    if name not in found:
        raise FocusError(f"{place}: is not in SQuAD's layout; {name!r} is missing.")
    return found[name]


def _question(line: int, record: Any, names: FieldNames) -> GivenQuestion:
    """The question in an object. Raises FocusError, without file and line, if a field is missing or wrong."""
    if not isinstance(record, dict):
        raise FocusError("is not a JSON object.")
    for name in (names.question, names.context):
        if name not in record:
            raise FocusError(f"has no field {name!r}; it has {listed(list(record)) or 'none'}.")
        if not isinstance(record[name], str) and (name == names.question or record[name] is not None):
            raise FocusError(f"the field {name!r} is not a string.")
    if not record[names.question].strip():
        raise FocusError(f"the field {names.question!r} is empty.")
    identity = record.get("id")
    if not isinstance(identity, str | int | None):
        raise FocusError("the field 'id' is neither a string nor a number.")
    return GivenQuestion(
        line=line,
        id=None if identity is None else str(identity),
        question=record[names.question],
        context=record[names.context] or "",
        answers=_answers(record[names.answers], names.answers) if names.answers in record else None,
    )


def _answers(found: Any, name: str) -> tuple[GivenAnswer, ...]:
    """The answers of an object. There may be fewer offsets than texts, but not more."""
    texts, starts = (found.get("text"), found.get("answer_start")) if isinstance(found, dict) else (None, None)
    if not isinstance(texts, list) or not isinstance(starts, list):
        raise FocusError(f"the field {name!r} must be an object with the lists 'text' and 'answer_start'.")
    if not all(isinstance(text, str) for text in texts):
        raise FocusError(f"the field {name!r} has a text that is not a string.")
    if not all(start is None or (isinstance(start, int) and not isinstance(start, bool)) for start in starts):
        raise FocusError(f"the field {name!r} has an 'answer_start' that is not a whole number.")
    if len(starts) > len(texts):
        raise FocusError(f"the field {name!r} has {len(texts)} texts, but {len(starts)} offsets in 'answer_start'.")
    starts = [*starts, *[None] * (len(texts) - len(starts))]
    pairs = zip(texts, starts, strict=True)
    return tuple(GivenAnswer(text=text, start=start) for text, start in pairs if text.strip())
