"""Labelled Swahili made from documents: the names in a text, pairs of sentences, and questions about a text."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from random import Random

import swahili
from author import Author
from concepts import TOPICS, Lexicon
from meaning import Clause, Phrase, Place, Sentence

WORD = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")
ENTITIES = {"m": "PER", "f": "PER", "town": "LOC", "country": "LOC"}
UNANSWERABLE = 0.2  # of the questions


def words(text: str) -> list[str]:
    """The words of a text; punctuation is a word of its own."""
    return WORD.findall(text)


def tagged(text: str, lexicon: Lexicon) -> str:
    """A text in CoNLL's format: a word and its tag on each line, and names as entities."""
    names = {tuple(words(name.forms["swa"])): ENTITIES[name.kind] for name in lexicon.names}
    found, lines, at = words(text), [], 0
    while at < len(found):
        name = next((name for name in names if tuple(found[at : at + len(name)]) == name), None)
        if name is None:
            lines.append(f"{found[at]} O")
            at += 1
        else:
            lines += [f"{word} {'I' if number else 'B'}-{names[name]}" for number, word in enumerate(name)]
            at += len(name)
    return "\n".join(lines) + "\n"


def pairs(lexicon: Lexicon, seed: int) -> Iterator[tuple[str, str, str]]:
    """An endless stream of labels and two sentences; the label says whether the second follows from the first.

    A sentence follows from the same sentence with a time, and contradicts its negation. A neutral one is another event
    with the same subject.
    """
    author = Author(lexicon, Random(f"{seed} pairs"))
    while True:
        topic = author.pick.rng.choice(TOPICS)
        clause = author.event(topic)
        if clause.score or not clause.time or clause.tense == "habit":
            continue
        label = author.pick.rng.choice(("entailment", "neutral", "contradiction"))
        other = replace(clause, time=None)
        if label == "contradiction":
            other.negative = not clause.negative
        elif label == "neutral":
            other = author.event(topic, clause.subject)
        first, second = swahili.realize(Sentence(clause)), swahili.realize(Sentence(other))
        if first != second:
            yield label, first, second


def questions(lexicon: Lexicon, seed: int) -> Iterator[str]:
    """An endless stream of lines of JSON: a question about a document, with the answer in it if there is one.

    The layout is that of SQuAD on the Hugging Face Hub.
    """
    author = Author(lexicon, Random(f"{seed} questions"))
    numbers = count(1)
    while True:
        document = author.document()
        context = " ".join(map(swahili.realize, document.sentences))
        asked = author.pick.rng.choice(document.sentences)
        made = ask(asked, author.pick.rng)
        if made is None:
            continue
        question, answer = made
        answers: dict[str, list[object]] = {"text": [], "answer_start": []}
        if author.pick.chance(UNANSWERABLE):
            context = " ".join(map(swahili.realize, author.document().sentences))
        else:
            sentence = context.index(swahili.realize(asked))
            start = context.lower().index(answer.lower(), sentence)
            answers = {"text": [context[start : start + len(answer)]], "answer_start": [start]}
        row = {"id": f"{next(numbers)}", "context": context, "question": question, "answers": answers}
        yield json.dumps(row, ensure_ascii=False)


def ask(sentence: Sentence, rng: Random) -> tuple[str, str] | None:
    """A question about a sentence, and the answer as it stands in the sentence; None if there is none to ask."""
    clause = sentence.clause
    if clause.kind != "verb" or clause.passive or clause.negative or clause.score or sentence.second:
        return None
    askable = [ask for ask in (who, where) if ask(clause)]
    if sentence.mood != "statement" or not askable:
        return None
    return rng.choice(askable)(clause)


def who(clause: Clause) -> tuple[str, str] | None:
    """Who did it."""
    subject = clause.subject
    if subject.pronoun or subject.plural or not subject.human:
        return None
    question = replace(clause, subject=Phrase(person=3, pronoun=True))
    return swahili.realize(Sentence(question, mood="who")), swahili.noun_phrase(subject)


def where(clause: Clause) -> tuple[str, str] | None:
    """Where it was, or where to."""
    if not clause.place or clause.place.kind == "from":
        return None
    question = replace(clause, place=Place(clause.place.kind))
    return swahili.realize(Sentence(question, mood="where")), swahili.place_text(clause.place)
