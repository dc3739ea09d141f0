"""Invents documents: puts concepts together as abstract sentences."""

from dataclasses import replace
from random import Random

from chooser import PERSON, Chooser, pronoun
from concepts import TOPICS, Lexicon, Verb
from meaning import Clause, Document, Phrase, Place, Sentence

STATES = {"fall_ill", "die", "recover", "sleep", "fear", "like", "love", "need", "lose"}
KINDS = {"verb": 44, "linked": 15, "be": 9, "compare": 4, "have": 5, "exist": 5, "at": 4, "reported": 7, "modal": 6}
TENSES = {"past": 40, "present": 26, "future": 16, "perfect": 18}


class Author:
    """Writes documents with a seeded random generator."""

    def __init__(self, lexicon: Lexicon, rng: Random) -> None:
        self.pick = Chooser(lexicon, rng)

    def subject(self, verb: Verb, topic: str, given: Phrase | None) -> Phrase:
        """The given subject if the verb can take it, else a new one; now and then the speaker or the hearer."""
        if given and self.fits(given, verb):
            return given
        if "person" in verb.subject and verb.id != "die" and self.pick.chance(0.1):
            return Phrase(person=1, pronoun=True, plural=self.pick.chance(0.5))
        return self.pick.phrase(verb.subject, topic, subject=True)

    @staticmethod
    def fits(phrase: Phrase, verb: Verb) -> bool:
        """Whether a phrase can be the subject of a verb."""
        return bool(verb.subject & (phrase.noun.tags if phrase.noun else PERSON))

    def event(self, topic: str, given: Phrase | None = None, verb: Verb | None = None, tense: str = "") -> Clause:
        """A clause with a full verb."""
        verb = verb or self.pick.draw(self.pick.verb_pool(topic, "plain"))
        clause = Clause("verb", self.subject(verb, topic, given), tense or self.pick.weighted(TENSES), verb=verb)
        clause.negative = self.pick.chance(0.13)
        kind = next((k for k in ("goal", "from", "loc") if k in verb.frame), "")
        if kind:
            clause.place = self.pick.place(kind, topic, verb.object)
        elif verb.object:
            clause.object = self.object(verb, topic)
        if "rec" in verb.frame:
            clause.recipient = self.pick.phrase(PERSON, topic, plain=True)
        if "score" in verb.frame:
            clause.negative, loser = False, self.pick.rng.randint(0, 3)
            clause.score = (loser + self.pick.rng.randint(1, 3), loser)
        if clause.tense != "perfect" and self.pick.chance(0.33):
            clause.time = self.pick.time(clause)
        if not kind and self.pick.chance(0.13):
            clause.place = self.pick.place("loc", topic)
        if clause.subject.human and not clause.negative and verb.id not in STATES and self.pick.chance(0.09):
            clause.manner = self.pick.manner()
        self.make_passive(clause)
        return clause

    def object(self, verb: Verb, topic: str) -> Phrase:
        """The object of a verb, at times the speaker."""
        if "person" in verb.object and verb.id != "kill" and self.pick.chance(0.1):
            return Phrase(person=1, pronoun=True, plural=self.pick.chance(0.4))
        return self.pick.phrase(verb.object, topic)

    def make_passive(self, clause: Clause) -> None:
        """Make some transitive clauses passive: the subject becomes the agent."""
        noun = clause.object and clause.object.noun
        if not (noun and clause.verb.passive and clause.subject.noun and not clause.subject.pronoun):
            return
        special = clause.score or clause.manner or clause.tense in ("present", "habit")
        if special or not self.pick.chance(0.14):
            return
        clause.passive = True
        if not (clause.object.number or clause.object.quantifier):
            clause.object.definite = True

    def be(self, topic: str, given: Phrase | None = None) -> Clause:
        """A clause that describes something."""
        while True:
            subject = given if given and given.noun else self.pick.phrase(self.describable(topic), topic, subject=True)
            adjective = self.pick.adjective_for(subject.noun) if subject.noun else None
            if adjective:
                break
            given = None
        if not subject.pronoun:
            subject.adjective = None
        tense = self.pick.rng.choice(("present", "present", "past"))
        return Clause("be", subject, tense, adjective=adjective, negative=self.pick.chance(0.15))

    def describable(self, topic: str) -> frozenset[str]:
        """Classes of things one describes."""
        if self.pick.chance(0.6):
            return frozenset(n.id for n in self.pick.lexicon.nouns if n.topic == topic)
        return frozenset({"animal", "thing", "building", "vehicle", "clothes", "body", "text"}) | PERSON

    def compare(self, topic: str) -> Clause:
        """A comparison of two things of a kind."""
        clause = self.be(topic)
        if not clause.subject.noun.pluralisable or clause.negative:
            return clause
        clause.kind, clause.tense = "compare", "present"
        noun = clause.subject.noun
        wanted = clause.adjective.tags & (noun.tags - {noun.id}) or frozenset({noun.id})
        rival = Phrase(noun=self.pick.draw(self.pick.noun_pool(wanted, topic)), plural=clause.subject.plural)
        rival.plural = rival.plural and rival.noun.pluralisable
        if rival.noun is noun:
            clause.subject, rival.demonstrative = Phrase(noun, plural=rival.plural, demonstrative="this"), "that"
        clause.object = rival
        return clause

    def have(self, topic: str, given: Phrase | None = None) -> Clause:
        """A clause of possession."""
        wanted = frozenset({"thing", "livestock", "vehicle", "house", "money", "ware_thing", "kin", "clothes"})
        topical = {"health": {"illness", "remedy"}, "sport": {"prize", "ball"}, "market": {"ware", "debt", "business"}}
        wanted |= topical.get(topic, set())
        subject = given or self.pick.phrase(PERSON, topic, subject=True)
        item = self.pick.phrase(wanted, topic, plain=self.pick.chance(0.5))
        item = replace(item, definite=False, possessor="", demonstrative="", owner=None, town=None, relative=None)
        tense = self.pick.rng.choice(("present", "present", "past", "future"))
        return Clause("have", subject, tense, object=item, negative=self.pick.chance(0.15))

    def exist(self, topic: str) -> Clause:
        """A clause that says there is something somewhere."""
        wanted = frozenset({"person", "animal", "vehicle", "ware", "thing", "cloud", "building", "rain", "patient"})
        item = Phrase(noun=self.pick.draw(self.pick.noun_pool(wanted, topic)), definite=False)
        if item.noun.pluralisable and self.pick.chance(0.75):
            item.plural = True
            item.quantifier = self.pick.rng.choice(("", "many", "many"))
            item.number = 0 if item.quantifier else self.pick.small()
        if not item.quantifier and self.pick.chance(0.25):
            item.adjective = self.pick.adjective_for(item.noun)
        tense = self.pick.rng.choice(("present", "present", "past", "future"))
        place = self.pick.place("loc", topic)
        if place.phrase and place.phrase.noun is item.noun:
            place = Place("loc", name=self.pick.draw(self.pick.regions))
        negative = self.pick.chance(0.15) and not (item.number or item.quantifier)
        return Clause("exist", item, tense, negative=negative, place=place)

    def at(self, topic: str, given: Phrase | None = None) -> Clause:
        """A clause that says where somebody or something is."""
        subject = given or self.pick.phrase(frozenset({"person", "animal", "vehicle", "thing"}), topic, subject=True)
        subject = subject if subject.pronoun else replace(subject, definite=True, number=0, quantifier="")
        tense = self.pick.rng.choice(("present", "present", "past"))
        return Clause("at", subject, tense, negative=self.pick.chance(0.12), place=self.pick.place("loc", topic))

    def price(self, topic: str) -> Clause:
        """What a kilo of something costs."""
        noun = self.pick.draw(self.pick.noun_pool(frozenset({"ware", "meat"}), topic))
        amount = self.pick.rng.choice((20, 50, 80, 100, 120, 150, 200, 250, 300, 500, 1000, 1500, 2000))
        currency = "shilling"
        if self.pick.chance(0.25):
            amount, currency = self.pick.rng.randint(2, 12), "euro"
        subject = Phrase(noun=noun, plural=noun.pluralisable)
        return Clause("price", subject, self.pick.rng.choice(("present", "past")), amount=amount, currency=currency)

    def temperature(self) -> Clause:
        """How warm it is in a town."""
        heat = self.pick.draw(self.pick.noun_pool(frozenset({"heat"}), "weather"))
        clause = Clause("temperature", Phrase(heat), amount=self.pick.rng.randint(2, 39))
        clause.place = Place("loc", name=self.pick.draw(self.pick.towns))
        clause.tense = self.pick.rng.choice(("past", "future"))
        clause.time = self.pick.time(clause)
        return clause

    def reported(self, topic: str, given: Phrase | None = None) -> Clause:
        """Reported speech or thought."""
        verb = self.pick.draw(self.pick.verb_pool(topic, "that"))
        present = "pres" in verb.frame or self.pick.chance(0.3)
        subject = self.subject(verb, topic, given)
        subject.relative = None
        clause = Clause("verb", subject, "present" if present else "past", verb=verb)
        clause.complement = self.event(topic) if self.pick.chance(0.75) else self.be(topic)
        if clause.complement.tense == "habit":
            clause.complement.tense = "present"
        return clause

    def modal(self, topic: str, given: Phrase | None = None) -> Clause:
        """A clause with an infinitive."""
        verb = self.pick.draw(self.pick.verb_pool(topic, "inf"))
        while True:
            inner = self.event(topic, given)
            if inner.subject.human and not inner.passive and inner.verb.id not in ("like", "fall_ill", "die"):
                break
            given = None
        inner.subject.relative = None
        tense = self.pick.rng.choice(("present", "past"))
        return replace(inner, verb=verb, infinitive=inner.verb, tense=tense, time=None)

    def linked(self, topic: str, given: Phrase | None = None) -> Sentence:
        """Two clauses and a conjunction."""
        link = self.pick.rng.choice(("and", "and", "but", "because", "because", "when", "if"))
        tense = {"when": self.pick.rng.choice(("past", "past", "present")), "if": "future"}.get(link, "")
        first = self.event(topic, given, tense=tense)
        if link == "and" and self.shareable(first):
            return Sentence(first, link, self.sequel(first, topic))
        tense = "present" if link == "if" or first.tense == "habit" else first.tense
        if link == "because" and tense == "future":
            tense = "present"
        again = pronoun(first.subject) if self.pick.chance(0.5) and not first.passive else None
        if link in ("because", "but") and self.pick.chance(0.3) and again and again.noun:
            second = self.be(topic, again)
        else:
            second = self.event(topic, again, tense=tense)
        if link in ("when", "if"):
            first.negative = second.negative = False
            second.time, second.manner, second.passive = None, None, False
            first.time = None if link == "when" else first.time
        return Sentence(first, link, second, fronted=link in ("when", "if") and self.pick.chance(0.5))

    @staticmethod
    def shareable(clause: Clause) -> bool:
        """Whether a second verb can follow with the same subject and object."""
        item, special = clause.object, clause.passive or clause.negative or clause.recipient
        return bool(item and item.noun and not special and not item.quantifier)

    def sequel(self, first: Clause, topic: str) -> Clause:
        """A second action of the same subject upon the same object, or another event of the subject."""
        verbs = [v for v in self.pick.lexicon.verbs if v.topic in (topic, "general") and not v.frame]
        same = [v for v in verbs if v.object & first.object.noun.tags and self.fits(first.subject, v)]
        same = [v for v in same if v is not first.verb]
        item = pronoun(first.object)
        tense = "present" if first.tense == "habit" else first.tense
        if not same or first.score:
            second = self.event(topic, first.subject, tense=tense)
            second = replace(second, negative=False, passive=False, time=None)
            return replace(second, elided=second.subject is first.subject)
        return Clause("verb", first.subject, tense, verb=self.pick.rng.choice(same), object=item, elided=True)

    def question(self, topic: str) -> Sentence:
        """A question: yes or no, who, or where."""
        clause = self.event(topic)
        mood = self.pick.rng.choice(("yesno", "yesno", "who", "where"))
        clause.subject.relative = None
        if mood == "who" and "person" in clause.verb.subject and not clause.passive:
            clause.negative = False
            clause.subject = Phrase(person=3, pronoun=True)
        elif mood == "where" and not clause.passive and not clause.score:
            clause.negative = False
            kind = clause.place.kind if clause.place else "loc"
            clause.place = Place("loc" if kind == "from" else kind)
            if kind == "from":
                mood, clause.place = "yesno", Place("from", name=self.pick.draw(self.pick.towns))
        else:
            mood = "yesno"
            askable = "person" in clause.verb.subject and not clause.passive and clause.tense != "past"
            if askable and self.pick.chance(0.5):
                clause.tense = "present" if clause.tense == "habit" else clause.tense
                clause.subject = Phrase(person=2, pronoun=True, plural=self.pick.chance(0.3))
        return Sentence(clause, mood=mood)

    def sentence(self, topic: str, given: Phrase | None = None) -> Sentence:
        """A sentence about a topic; `given` is a pronoun for somebody already spoken of."""
        if self.pick.chance(0.07):
            return self.question(topic)
        if topic == "market" and self.pick.chance(0.08):
            return Sentence(self.price(topic))
        if topic == "weather" and self.pick.chance(0.1):
            return Sentence(self.temperature(), fronted=self.pick.chance(0.4))
        kind = self.pick.weighted(KINDS)
        if kind == "linked":
            return self.linked(topic, given)
        if kind in ("compare", "exist"):
            return Sentence(getattr(self, kind)(topic))
        clause = (self.event if kind == "verb" else getattr(self, kind))(topic, given)
        return Sentence(clause, fronted=bool(clause.time) and self.pick.chance(0.35))

    @staticmethod
    def known(sentence: Sentence) -> bool:
        """Whether the subject of a sentence is somebody the next sentence can speak of as he, she or they."""
        clause = sentence.clause
        subject = clause.subject
        plain = sentence.mood == "statement" and clause.kind not in ("price", "exist", "temperature")
        return bool(plain and not clause.passive and subject.human and (subject.noun or subject.name))

    def document(self) -> Document:
        """Two to four sentences, most of them about the topic of the document."""
        topic = self.pick.rng.choice(TOPICS)
        others = [t for t in TOPICS if t != topic]
        sentences: list[Sentence] = []
        given = None
        for index in range(self.pick.rng.choice((2, 3, 3, 4))):
            dice = self.pick.rng.random()
            about = topic if dice < 0.6 or not index else self.pick.rng.choice(others) if dice < 0.78 else "general"
            sentence = self.sentence(about, given)
            sentences.append(sentence)
            subject = sentence.clause.subject
            given = pronoun(subject) if self.known(sentence) and self.pick.chance(0.4) else None
        return Document(topic, sentences)
