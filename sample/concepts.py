"""The lexicon: rows of concepts with one form per language, read from the tables in lexicon/."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "lexicon"
LANGUAGES = ("eng", "deu", "spa", "zul", "swa")
TOPICS = ("health", "sport", "weather", "politics", "market")


@dataclass(frozen=True, eq=False)
class Noun:
    """A noun; `tags` holds its semantic classes and its own id."""

    id: str
    topic: str
    tags: frozenset[str]
    forms: dict[str, str]
    place: tuple[str, ...]

    @property
    def mass(self) -> bool:
        """Whether the noun is uncountable."""
        return self.forms["eng"].endswith("/-")

    @property
    def pluralisable(self) -> bool:
        """Whether the noun has a plural in every language."""
        return not any(form.endswith("/-") for form in self.forms.values())

    @property
    def human(self) -> bool:
        """Whether the noun names people."""
        return "person" in self.tags

    @property
    def animate(self) -> bool:
        """Whether the noun names people or animals."""
        return self.human or "animal" in self.tags


@dataclass(frozen=True, eq=False)
class Verb:
    """A verb with the classes of its subject and object and its frame."""

    id: str
    topic: str
    subject: frozenset[str]
    object: frozenset[str]
    frame: frozenset[str]
    forms: dict[str, str]

    @property
    def passive(self) -> bool:
        """Whether the verb has a passive in every language."""
        return "/" in self.forms["zul"] and "/" in self.forms["swa"]


@dataclass(frozen=True, eq=False)
class Adjective:
    """An adjective with the classes of nouns it describes."""

    id: str
    tags: frozenset[str]
    forms: dict[str, str]


@dataclass(frozen=True, eq=False)
class Adverb:
    """An adverbial of time, frequency (habit) or manner, and the tense it goes with."""

    id: str
    kind: str
    tense: str
    forms: dict[str, str]


@dataclass(frozen=True, eq=False)
class Name:
    """A proper name of a man (m), a woman (f), a town or a country."""

    id: str
    kind: str
    forms: dict[str, str]


@dataclass(frozen=True)
class Lexicon:
    """All concepts."""

    nouns: tuple[Noun, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[Adjective, ...]
    adverbs: tuple[Adverb, ...]
    names: tuple[Name, ...]


def rows(table: str) -> list[list[str]]:
    """The rows of a table, without its comment header."""
    lines = (FOLDER / f"{table}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def classes(field: str, separator: str = ",") -> frozenset[str]:
    """The set of classes in a field; "-" is the empty set."""
    return frozenset() if field == "-" else frozenset(field.split(separator))


def forms(fields: list[str]) -> dict[str, str]:
    """The forms of a row by language."""
    return dict(zip(LANGUAGES, fields, strict=True))


def load() -> Lexicon:
    """Read all tables."""
    nouns = [
        Noun(r[0], r[1], classes(r[2]) | {r[0]}, forms(r[3:8]), () if r[8] == "-" else tuple(r[8].split(" ", 3)))
        for r in rows("nouns")
    ]
    verbs = [Verb(r[0], r[1], classes(r[2]), classes(r[3]), classes(r[4], " "), forms(r[5:10])) for r in rows("verbs")]
    return Lexicon(
        tuple(nouns),
        tuple(verbs),
        tuple(Adjective(r[0], classes(r[1]), forms(r[2:7])) for r in rows("adjectives")),
        tuple(Adverb(r[0], r[1], r[2], forms(r[3:8])) for r in rows("adverbs")),
        tuple(Name(r[0], r[1], forms(r[2:7])) for r in rows("names")),
    )
