"""Chooses concepts by topic, class and rank, and builds phrases, places and times from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import Any

from concepts import Adjective, Adverb, Lexicon, Noun
from meaning import Clause, Phrase, Place, Time

PERSON = frozenset({"person"})
POSSESSORS = ("1s", "3m", "3f", "1p", "3p", "2s")
UNOWNED = {"illness", "wild", "bird", "crime", "peace", "country", "city"}
OWNED = {"thing", "vehicle", "house", "kin", "clothes", "body", "shop", "livestock"}
LOCATED = {"team", "place", "river", "leader", "grower", "trader", "medic", "citizen"}


@dataclass
class Pool:
    """Candidates with weights that fall with their rank."""

    items: Sequence
    cumulative: list[float]

    @classmethod
    def ranked(cls, items: Sequence, factors: Sequence[float] | None = None, decay: float = 0.8) -> "Pool":
        """Weigh items by 1 / rank ** decay, times a factor each."""
        factors = factors or [1.0] * len(items)
        return cls(items, list(accumulate(f / (i + 2) ** decay for i, f in enumerate(factors))))


def pronoun(phrase: Phrase) -> Phrase:
    """The pronoun for a phrase."""
    return Phrase(phrase.noun, phrase.name, phrase.person, pronoun=True, plural=phrase.plural)


class Chooser:
    """Draws concepts and phrases from a lexicon with a seeded random generator."""

    def __init__(self, lexicon: Lexicon, rng: Random) -> None:
        self.lexicon = lexicon
        self.rng = rng
        self.pools: dict[tuple, Pool] = {}

    @cached_property
    def people(self) -> Pool:
        """Names of people."""
        return Pool.ranked([n for n in self.lexicon.names if n.kind in "mf"])

    @cached_property
    def regions(self) -> Pool:
        """Names of towns and countries."""
        return Pool.ranked([n for n in self.lexicon.names if n.kind in ("town", "country")])

    @cached_property
    def towns(self) -> Pool:
        """Names of towns."""
        return Pool.ranked([n for n in self.lexicon.names if n.kind == "town"])

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.rng.random() < probability

    def draw(self, pool: Pool) -> Any:
        """One item of a pool."""
        return self.rng.choices(pool.items, cum_weights=pool.cumulative)[0]

    def weighted(self, table: dict[str, int]) -> str:
        """One key of a table of weights."""
        return self.rng.choices(list(table), list(table.values()))[0]

    def noun_pool(self, wanted: frozenset[str], topic: str, places: bool = False) -> Pool:
        """Nouns of the wanted classes, those of the topic weighing more; others only if there is no choice."""
        key = (wanted, topic, places)
        if key not in self.pools:
            found = [n for n in self.lexicon.nouns if wanted & n.tags and (n.place or not places)]
            near = [n for n in found if n.topic in (topic, "general")] or found
            near.sort(key=lambda n: n.topic == "general")
            self.pools[key] = Pool.ranked(near, [3.0 if n.topic == topic else 1.0 for n in near])
        return self.pools[key]

    def verb_pool(self, topic: str, kind: str) -> Pool:
        """Verbs of a topic: kind is plain, that or inf."""
        key = (topic, kind)
        if key not in self.pools:
            special = {"that", "inf"}
            verbs = [v for v in self.lexicon.verbs if (kind in v.frame if kind in special else not special & v.frame)]
            near = [v for v in verbs if v.topic in (topic, "general")]
            near.sort(key=lambda v: v.topic == "general")
            self.pools[key] = Pool.ranked(near, [2.0 if v.topic == topic else 1.0 for v in near])
        return self.pools[key]

    def adjective_for(self, noun: Noun) -> Adjective | None:
        """An adjective that suits the noun, if there is one."""
        if noun not in self.pools:
            self.pools[noun] = Pool.ranked([a for a in self.lexicon.adjectives if a.tags & noun.tags], decay=0.4)
        pool = self.pools[noun]
        return self.draw(pool) if pool.items else None

    def phrase(self, wanted: frozenset[str], topic: str, subject: bool = False, plain: bool = False) -> Phrase:
        """A noun phrase of the wanted classes, or a name where people are wanted."""
        if "person" in wanted and self.chance(0.22):
            return Phrase(name=self.draw(self.people))
        phrase = Phrase(noun=self.draw(self.noun_pool(wanted, topic)))
        noun = phrase.noun
        phrase.plural = noun.pluralisable and self.chance(0.33)
        if "generic" in noun.tags:
            return phrase
        phrase.definite = self.chance(0.75 if subject else 0.45)
        if self.chance(0.2):
            phrase.adjective = self.adjective_for(noun)
        if not plain:
            self.determine(phrase, topic)
        if subject and not (phrase.quantifier or phrase.number) and (phrase.plural or noun.mass):
            phrase.definite = True
        return phrase

    def determine(self, phrase: Phrase, topic: str) -> None:
        """Give a phrase a number, quantifier, demonstrative, possessor, owner, town or relative clause."""
        noun, dice = phrase.noun, self.rng.random()
        if "kin" in noun.tags and dice < 0.7:
            phrase.possessor, phrase.definite = self.rng.choice(POSSESSORS), True
        elif phrase.plural and dice < 0.28:
            large = self.chance(0.3)
            phrase.number = self.rng.choice((15, 20, 25, 30, 40, 50, 100, 120, 200, 500)) if large else self.small()
            phrase.definite = False
        elif phrase.plural and dice < 0.4:
            phrase.quantifier, phrase.definite = self.rng.choice(("many", "many", "all")), False
        elif 0.4 <= dice < 0.48:
            phrase.demonstrative, phrase.definite = self.rng.choice(("this", "this", "that")), True
        elif 0.48 <= dice < 0.56 and (noun.topic != "weather" or "thing" in noun.tags) and not noun.tags & UNOWNED:
            phrase.possessor, phrase.definite = self.rng.choice(POSSESSORS), True
        elif 0.56 <= dice < 0.61 and noun.tags & OWNED:
            phrase.owner = Phrase(name=self.draw(self.people))
            if self.chance(0.4):
                phrase.owner = Phrase(noun=self.draw(self.noun_pool(PERSON, topic)))
            phrase.definite = True
        elif 0.61 <= dice < 0.72 and noun.tags & LOCATED:
            phrase.town, phrase.definite = self.draw(self.regions), True
        elif 0.72 <= dice < 0.8 and noun.human:
            phrase.relative = self.relative(phrase, topic)

    def small(self) -> int:
        """A small number, at least two."""
        return min(2 + int(self.rng.expovariate(0.5)), 10)

    def relative(self, head: Phrase, topic: str) -> Clause | None:
        """A relative clause whose subject is the head."""
        verb = self.draw(self.verb_pool(topic, "plain"))
        if not verb.subject & head.noun.tags or not verb.object or verb.frame:
            return None
        tense = self.rng.choice(("past", "past", "present"))
        return Clause("verb", pronoun(head), tense, verb=verb, object=self.phrase(verb.object, topic, plain=True))

    def place(self, kind: str, topic: str, wanted: frozenset[str] = frozenset({"place", "house"})) -> Place:
        """A place: a town or country, or a noun with a locative."""
        if self.chance(0.35):
            return Place(kind, name=self.draw(self.regions))
        phrase = Phrase(noun=self.draw(self.noun_pool(wanted, topic, places=True)))
        dice = self.rng.random()
        if dice < 0.1:
            phrase.adjective = self.adjective_for(phrase.noun)
        elif dice < 0.2:
            phrase.possessor = self.rng.choice(POSSESSORS)
        elif dice < 0.32 and phrase.noun.id != "country":
            phrase.town = self.draw(self.towns)
        return Place(kind, phrase=phrase)

    def time(self, clause: Clause) -> Time | None:
        """A time that goes with the tense of the clause, which it may make habitual."""
        dice = self.rng.random()
        tense = "past" if clause.tense == "perfect" else clause.tense
        if dice < 0.12 and tense in ("past", "future"):
            return Time(year=self.rng.randint(1990, 2019) if tense == "past" else self.rng.randint(2030, 2050))
        if dice < 0.2:
            return Time(hour=self.rng.randint(7, 11))
        key = ("time", tense)
        if key not in self.pools:
            kinds = ("time", "habit")
            self.pools[key] = Pool.ranked(
                [a for a in self.lexicon.adverbs if a.kind in kinds and a.tense in (tense, "any")]
            )
        adverb: Adverb = self.draw(self.pools[key])
        if adverb.kind == "habit" and self.chance(0.5) and not (clause.negative or clause.subject.pronoun):
            clause.tense = "habit"
        return Time(adverb=adverb)

    def manner(self) -> Adverb:
        """An adverbial of manner."""
        if "manner" not in self.pools:
            self.pools["manner"] = Pool.ranked([a for a in self.lexicon.adverbs if a.kind == "manner"])
        return self.draw(self.pools["manner"])
