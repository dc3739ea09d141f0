"""Abstract sentences: what is said, before it is put into the words of a language."""

from __future__ import annotations

from dataclasses import dataclass

from concepts import Adjective, Adverb, Name, Noun, Verb


@dataclass
class Phrase:
    """A participant: a noun with its modifiers, a name, or a pronoun.

    A third-person pronoun keeps the noun or name it stands for, so that a language can make it agree.
    """

    noun: Noun | None = None
    name: Name | None = None
    person: int = 3
    pronoun: bool = False
    plural: bool = False
    definite: bool = True
    adjective: Adjective | None = None
    number: int = 0
    quantifier: str = ""
    demonstrative: str = ""
    possessor: str = ""
    owner: Phrase | None = None
    town: Name | None = None
    relative: Clause | None = None

    @property
    def human(self) -> bool:
        """Whether it refers to people."""
        return self.noun.human if self.noun else True

    @property
    def animate(self) -> bool:
        """Whether it refers to people or animals."""
        return self.noun.animate if self.noun else True

    @property
    def female(self) -> bool:
        """Whether it refers to a woman or a girl."""
        return "female" in self.noun.tags if self.noun else bool(self.name and self.name.kind == "f")


@dataclass
class Place:
    """Where (loc), where to (goal) or where from (from)."""

    kind: str
    name: Name | None = None
    phrase: Phrase | None = None


@dataclass
class Time:
    """When: an adverbial, a year or an hour of the day."""

    adverb: Adverb | None = None
    year: int = 0
    hour: int = 0

    @property
    def ongoing(self) -> bool:
        """Whether it is the present moment."""
        return bool(self.adverb and self.adverb.id == "now")


@dataclass
class Clause:
    """One predication; `kind` is verb, be, compare, have, exist, at, price or temperature."""

    kind: str
    subject: Phrase
    tense: str = "present"
    negative: bool = False
    verb: Verb | None = None
    infinitive: Verb | None = None
    passive: bool = False
    object: Phrase | None = None
    recipient: Phrase | None = None
    adjective: Adjective | None = None
    place: Place | None = None
    time: Time | None = None
    manner: Adverb | None = None
    complement: Clause | None = None
    elided: bool = False
    amount: int = 0
    currency: str = ""
    score: tuple[int, int] = ()

    @property
    def main(self) -> Verb | None:
        """The verb that governs the object."""
        return self.infinitive or self.verb


@dataclass
class Sentence:
    """One or two clauses; `mood` is statement, yesno, who or where, `link` a conjunction."""

    clause: Clause
    link: str = ""
    second: Clause | None = None
    mood: str = "statement"
    fronted: bool = False


@dataclass
class Document:
    """Sentences under one topic."""

    topic: str
    sentences: list[Sentence]
