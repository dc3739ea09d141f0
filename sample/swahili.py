"""Swahili: from abstract sentences to text.

Agreement goes by noun class; people and animals take classes 1 and 2. Subjects and objects are marked on the verb.
"""

from meaning import Clause, Phrase, Place, Sentence, Time
from swahili_words import (
    CURRENCIES,
    HOURS,
    LANGUAGE,
    LINKERS,
    LINKS,
    MANY,
    NEGATIVE_TENSES,
    OBJECTS,
    PERSON_OBJECTS,
    PERSONS,
    POSSESSORS,
    RELATIVES,
    SUBJECTS,
    TENSES,
    THAT,
    THIS,
    adjective_text,
    linked,
    noun_class,
    noun_forms,
    number_text,
    prefixed,
    verb_forms,
    with_ku,
)
from text import finish, join


def noun_phrase(phrase: Phrase) -> str:
    """A phrase; personal pronouns are left to the verb."""
    if phrase.pronoun:
        return "" if phrase.person < 3 or phrase.noun or phrase.name else "nani"
    if phrase.name:
        return phrase.name.forms[LANGUAGE]
    number, (_, kin, words) = noun_class(phrase), noun_forms(phrase.noun)
    own = 9 + phrase.plural if kin else number
    return join(
        words[phrase.plural],
        LINKERS[own] + POSSESSORS[phrase.possessor] if phrase.possessor else "",
        adjective_text(phrase.adjective, phrase),
        number_text(phrase.number, number),
        MANY[number] if phrase.quantifier == "many" else "",
        LINKERS[number] + "ote" if phrase.quantifier == "all" else "",
        {"this": THIS, "that": THAT}[phrase.demonstrative][number] if phrase.demonstrative else "",
        linked(number, noun_phrase(phrase.owner)) if phrase.owner else "",
        linked(number, phrase.town.forms[LANGUAGE]) if phrase.town else "",
        predicate(phrase.relative, RELATIVES[number]) if phrase.relative else "",
    )


def subject_concord(subject: Phrase) -> str:
    """The affirmative subject prefix."""
    if subject.pronoun and subject.person < 3:
        return PERSONS[subject.person, subject.plural]
    return SUBJECTS[noun_class(subject)]


def negative_concord(subject: Phrase) -> str:
    """The negative subject prefix."""
    concord = subject_concord(subject)
    if subject.pronoun and subject.person < 3:
        return {"ni": "si", "u": "hu"}.get(concord, "ha" + concord)
    return "ha" if noun_class(subject) == 1 else "ha" + concord


def object_concord(clause: Clause) -> str:
    """The object prefix: for pronouns, people, recipients, and definite animals."""
    item = clause.recipient or clause.object
    if clause.passive or not item:
        return ""
    if item.pronoun and item.person < 3:
        return PERSON_OBJECTS[item.person, item.plural]
    if item.pronoun or item.human or (item.animate and item.definite):
        return OBJECTS[noun_class(item)]
    return ""


def infinitive(clause: Clause) -> str:
    """The infinitive of the main verb with its object prefix."""
    stem, rest, _ = verb_forms(clause.main, False)
    concord = object_concord(clause)
    return join("ku" + prefixed(concord, stem) if concord else with_ku(stem), rest)


def verb_text(clause: Clause, relative: str = "") -> str:
    """The finite verb; relative is an infix (po: when, ki: if)."""
    subject = clause.object if clause.passive else clause.subject
    stem, rest, heavy = verb_forms(clause.verb, clause.passive)
    concord = "" if clause.infinitive else object_concord(clause)
    short = prefixed(concord, stem)
    long = with_ku(stem) if heavy and not concord else short
    tail = join(rest, infinitive(clause) if clause.infinitive else "")
    tense = clause.tense
    if relative == "ki":
        return join(subject_concord(subject) + "ki" + short, tail)
    if tense == "habit":
        return join("hu" + short, tail)
    if not clause.negative:
        return join(subject_concord(subject) + TENSES[tense] + relative + long, tail)
    prefix = negative_concord(subject)
    if tense == "present":
        word = prefix + (short[:-1] + "i" if short.endswith("a") else short)
    elif tense == "past":
        word = prefix + (with_ku(stem) if heavy and not concord else "ku" + short)
    else:
        word = prefix + NEGATIVE_TENSES[tense] + (long if tense == "future" else short)
    return join(word, tail)


def time_text(time: Time | None) -> str:
    """A time; hours count from dawn."""
    if not time:
        return ""
    if time.year:
        return f"mwaka {time.year}"
    return f"saa {HOURS[time.hour]} asubuhi" if time.hour else time.adverb.forms[LANGUAGE]


def place_text(place: Place | None) -> str:
    """A place: a locative, or katika with a modified noun."""
    if not place or not (place.name or place.phrase):
        return ""
    if place.name:
        inside = {"town": "mjini", "country": "nchini"}[place.name.kind] if place.kind == "loc" else ""
        return join(inside, place.name.forms[LANGUAGE])
    phrase = place.phrase
    locative = phrase.noun.place[3]
    plain = not (phrase.possessor or phrase.adjective or phrase.town)
    if phrase.adjective or not (plain or locative.endswith("ni")):
        return f"katika {noun_phrase(phrase)}"
    owner = LINKERS[17] + POSSESSORS[phrase.possessor] if phrase.possessor else ""
    return join(locative, owner, phrase.town.forms[LANGUAGE] if phrase.town else "")


def complements(clause: Clause, fronted: bool = False, where: str = "") -> str:
    """What follows the verb."""
    item = None if clause.passive else clause.object
    return join(
        noun_phrase(clause.recipient) if clause.recipient else "",
        noun_phrase(item) if item else "",
        "na " + noun_phrase(clause.subject) if clause.passive else "",
        "{}-{}".format(*clause.score) if clause.score else "",
        where,
        place_text(clause.place) if clause.place and clause.place.kind != "loc" else "",
        clause.manner.forms[LANGUAGE] if clause.manner else "",
        place_text(clause.place) if clause.place and clause.place.kind == "loc" else "",
        "" if fronted else time_text(clause.time),
        "kwamba " + statement(clause.complement) if clause.complement else "",
    )


def predicate(clause: Clause, relative: str = "", fronted: bool = False, where: str = "") -> str:
    """Verb and what follows it."""
    return join(verb_text(clause, relative), complements(clause, fronted, where))


def to_be(subject: Phrase, tense: str, negative: bool) -> str:
    """Past and future forms of kuwa."""
    if negative:
        return negative_concord(subject) + ("kuwa" if tense == "past" else "takuwa")
    return subject_concord(subject) + TENSES[tense] + "kuwa"


def copular(clause: Clause) -> str:
    """A clause without a full verb."""
    phrase, tense, negative = clause.subject, clause.tense, clause.negative
    subject = noun_phrase(phrase)
    if clause.kind in ("be", "compare"):
        copula = to_be(phrase, tense, negative) if tense == "past" else "si" if negative else "ni"
        if phrase.pronoun and tense == "present":
            subject = "wao" if phrase.plural else "yeye"
        than = "kuliko " + noun_phrase(clause.object) if clause.kind == "compare" else ""
        return join(subject, copula, adjective_text(clause.adjective, phrase), than)
    if clause.kind == "at":
        return join(subject, locative_copula(clause), place_text(clause.place))
    if clause.kind == "have":
        if tense != "present":
            return join(subject, to_be(phrase, tense, negative), "na", noun_phrase(clause.object))
        concord = negative_concord(phrase) if negative else subject_concord(phrase)
        return join(subject, concord + "na", noun_phrase(clause.object))
    if clause.kind == "exist":
        forms = {
            "present": ("kuna", "hakuna"),
            "past": ("kulikuwa na", "hakukuwa na"),
            "future": ("kutakuwa na", "hakutakuwa na"),
        }
        return join(forms[tense][negative], subject, place_text(clause.place))
    if clause.kind == "price":
        goods = noun_forms(phrase.noun)[2][phrase.plural]
        verb = "iligharimu" if tense == "past" else "inagharimu"
        return join("kilo moja ya", goods, verb, CURRENCIES[clause.currency], str(clause.amount))
    verb = "lilifikia" if tense == "past" else "litafikia"
    return join("joto", place_text(clause.place), verb, "nyuzi", str(clause.amount))


def locative_copula(clause: Clause) -> str:
    """To be somewhere: -ko, or kuwa in the past."""
    if clause.tense == "past":
        return to_be(clause.subject, "past", clause.negative)
    concord = subject_concord(clause.subject)
    if noun_class(clause.subject) == 1 and clause.subject.person == 3:
        concord = "yu"
    return ("ha" if clause.negative else "") + concord + "ko"


def statement(clause: Clause, fronted: bool = False, relative: str = "", where: str = "") -> str:
    """A declarative clause, with the time first if fronted."""
    time = time_text(clause.time)
    if clause.kind != "verb":
        return join(time if fronted else "", copular(clause), "" if fronted else time)
    subject = noun_phrase(clause.object if clause.passive else clause.subject)
    if clause.elided:
        return join(infinitive(clause), complements(clause))
    return join(time if fronted else "", subject, predicate(clause, relative, fronted, where))


def question(clause: Clause, mood: str) -> str:
    """An interrogative clause."""
    if mood == "yesno":
        return "je, " + statement(clause)
    return statement(clause, where="wapi" if mood == "where" else "")


def realize(sentence: Sentence) -> str:
    """The text of a sentence."""
    if sentence.mood != "statement":
        return finish(question(sentence.clause, sentence.mood), "?")
    if not sentence.second:
        return finish(statement(sentence.clause, sentence.fronted))
    first = statement(sentence.clause)
    if sentence.link in LINKS:
        return finish(first + LINKS[sentence.link] + statement(sentence.second))
    second = statement(sentence.second, relative="ki" if sentence.link == "if" else "po")
    return finish(f"{second}, {first}" if sentence.fronted else f"{first} {second}")
