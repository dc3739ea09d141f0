"""isiZulu: from abstract sentences to text."""

from meaning import Clause, Phrase, Place, Sentence, Time
from text import finish, join
from zulu_words import (
    ABSENT,
    ADJECTIVES,
    ALL,
    CURRENCIES,
    LANGUAGE,
    LINKS,
    NAMED,
    NEGATIVES,
    OBJECTS,
    PARTICIPIAL,
    PERSON_NEGATIVES,
    PERSON_WERE,
    PERSONS,
    POSSESSIVES,
    RELATIVES,
    STEMS,
    SUBJECTS,
    THAT,
    THIS,
    VOWELS,
    WERE,
    adjective_forms,
    attach,
    attribute,
    concord,
    joined,
    noun_class,
    noun_forms,
    number_text,
    predicative,
    verb_forms,
)


def owned(number: int, owner: Phrase) -> str:
    """The possessive of an owner; names and nouns of class 1a take ka-."""
    text = noun_phrase(owner)
    named = owner.name or (not owner.plural and noun_forms(owner.noun)[1][1].startswith("o"))
    return NAMED[number] + text[1:] if named else joined(POSSESSIVES[number], text)


def noun_phrase(phrase: Phrase, bare: bool = False) -> str:
    """A phrase; personal pronouns are left to the verb; bare drops the initial vowel."""
    if phrase.pronoun:
        return "" if phrase.person < 3 or phrase.noun or phrase.name else "ubani"
    if phrase.name:
        return phrase.name.forms[LANGUAGE]
    number, word = noun_class(phrase), noun_forms(phrase.noun)[1][phrase.plural]
    many = {8: "eziningi", 9: "eningi", 10: "eziningi"}.get(number, ADJECTIVES[number] + "ningi")
    return join(
        word[1:].lstrip("-") if bare else word,
        joined(POSSESSIVES[number], STEMS[phrase.possessor]) if phrase.possessor == "1p" else "",
        POSSESSIVES[number] + STEMS[phrase.possessor] if phrase.possessor not in ("", "1p") else "",
        attribute(phrase.adjective, number),
        number_text(phrase.number, number),
        {"many": many, "all": ALL[number]}.get(phrase.quantifier, ""),
        {"this": THIS, "that": THAT}[phrase.demonstrative][number] if phrase.demonstrative else "",
        owned(number, phrase.owner) if phrase.owner else "",
        f"{POSSESSIVES[number]}s{phrase.town.forms[LANGUAGE]}" if phrase.town else "",
        predicate(phrase.relative, RELATIVES[number]) if phrase.relative else "",
    )


def object_concord(clause: Clause) -> str:
    """The object prefix of a pronoun."""
    item = clause.object
    if clause.passive or not item or not item.pronoun:
        return ""
    return concord(item, OBJECTS, PERSONS)


def infinitive(clause: Clause) -> str:
    """The infinitive of the main verb."""
    verb = attach(object_concord(clause), verb_forms(clause.main, False)[0])
    return "u" + attach("ku", verb)


def verb_text(clause: Clause, final: bool, prefix: str = "", participial: bool = False) -> str:
    """The verb; final tells that nothing follows it, prefix is a relative concord."""
    subject = clause.object if clause.passive else clause.subject
    stem, short, long = verb_forms(clause.verb, clause.passive)
    marker = "" if clause.infinitive else object_concord(clause)
    stem, short, long = attach(marker, stem), attach(marker, short), attach(marker, long)
    past = clause.tense in ("past", "perfect")
    if clause.negative:
        return negative_verb(clause, subject, stem)
    start = prefix or concord(subject, PARTICIPIAL if participial else SUBJECTS, PERSONS)
    if prefix in ("o", "e") and clause.tense != "future" and stem[0] in VOWELS:
        start = {"o": "owu", "e": "eyi"}[prefix]
    if clause.tense == "future":
        return start + "zo" + (attach("ku", stem) if stem[0] in VOWELS else stem)
    if past:
        return attach(start, long if final else short)
    if final and not (prefix or participial):
        return start + attach("ya", stem) if stem[0] in VOWELS else start + "ya" + stem
    return attach(start, stem)


def negative_verb(clause: Clause, subject: Phrase, stem: str) -> str:
    """The verb of a negative clause."""
    start = concord(subject, NEGATIVES, PERSON_NEGATIVES)
    if clause.tense == "future":
        return start + "zu" + (attach("ku", stem) if stem[0] in VOWELS else stem)
    if clause.tense in ("past", "perfect"):
        return attach(start, stem[:-1] + "anga" if not stem.endswith("wa") else stem + "nga")
    return attach(start, stem if clause.passive or not stem.endswith("a") else stem[:-1] + "i")


def time_text(time: Time | None) -> str:
    """A time."""
    if not time:
        return ""
    if time.year:
        return f"ngo-{time.year}"
    return f"ngo-{time.hour} ekuseni" if time.hour else time.adverb.forms[LANGUAGE]


def place_text(place: Place | None) -> str:
    """A place."""
    if not place or not (place.name or place.phrase):
        return ""
    if place.name:
        return place.name.forms[LANGUAGE]
    locative, rest = place.phrase.noun.place[2], noun_phrase(place.phrase).split(" ", 1)[1:]
    return join(locative, *rest)


def agent(phrase: Phrase) -> str:
    """The agent of a passive."""
    text = noun_phrase(phrase)
    return ("y" if text[0] == "i" else "ng") + text


def complements(clause: Clause, fronted: bool = False, where: str = "") -> str:
    """What follows the verb."""
    item = None if clause.passive else clause.object
    return join(
        infinitive(clause) if clause.infinitive else "",
        noun_phrase(clause.recipient) if clause.recipient else "",
        noun_phrase(item) if item else "",
        agent(clause.subject) if clause.passive else "",
        "ngo-{}-{}".format(*clause.score) if clause.score else "",
        where,
        place_text(clause.place) if clause.place and clause.place.kind != "loc" else "",
        clause.manner.forms[LANGUAGE] if clause.manner else "",
        place_text(clause.place) if clause.place and clause.place.kind == "loc" else "",
        "" if fronted else time_text(clause.time),
        "ukuthi " + statement(clause.complement) if clause.complement else "",
    )


def predicate(
    clause: Clause, prefix: str = "", fronted: bool = False, where: str = "", participial: bool = False
) -> str:
    """Verb and what follows it."""
    rest = complements(clause, fronted, where)
    return join(verb_text(clause, not rest, prefix, participial), rest)


def describe(clause: Clause) -> str:
    """A predicate adjective; the nasal class drops its vowel after a concord."""
    phrase = clause.subject
    word = predicative(clause.adjective, phrase)
    relative = adjective_forms(clause.adjective)[0] == "r"
    short = word[1:] if noun_class(phrase) == 9 and not relative else word
    if clause.tense == "past":
        were = concord(phrase, WERE, PERSON_WERE)
        return were + "nge" + short if clause.negative else were + short
    if clause.negative:
        return concord(phrase, NEGATIVES, PERSON_NEGATIVES) + short
    return attach(concord(phrase, SUBJECTS, PERSONS), word) if relative else word


def possess(clause: Clause) -> str:
    """A predicate with -na, to have."""
    phrase, item = clause.subject, clause.object
    if clause.negative and clause.tense == "present":
        return concord(phrase, NEGATIVES, PERSON_NEGATIVES) + "na" + noun_phrase(item, bare=True)
    text = joined("na", noun_phrase(item))
    if clause.tense == "future":
        verb = concord(phrase, NEGATIVES, PERSON_NEGATIVES) + "zukuba" if clause.negative else ""
        return join(verb or concord(phrase, SUBJECTS, PERSONS) + "zoba", text)
    if clause.tense == "past":
        were = concord(phrase, WERE, PERSON_WERE)
        return were + "ngena" + noun_phrase(item, bare=True) if clause.negative else were + text
    return concord(phrase, SUBJECTS, PERSONS) + text


def copular(clause: Clause) -> str:
    """A clause without a full verb."""
    phrase, tense, place = clause.subject, clause.tense, place_text(clause.place)
    subject = noun_phrase(phrase)
    if clause.kind == "be":
        return join(subject, describe(clause))
    if clause.kind == "compare":
        return join(subject, describe(clause), joined("kuna", noun_phrase(clause.object)))
    if clause.kind == "have":
        return join(subject, possess(clause))
    if clause.kind == "at":
        if clause.negative:
            absent = concord(phrase, WERE, PERSON_WERE) + "ngekho" if tense == "past" else ABSENT[noun_class(phrase)]
            return join(subject, absent, place)
        start = concord(phrase, WERE, PERSON_WERE) if tense == "past" else concord(phrase, SUBJECTS, PERSONS)
        return join(subject, f"{start}s{place}" if place.startswith("e") else f"{start}{place}")
    if clause.kind == "exist":
        if clause.negative:
            verb = {"present": "akukho", "past": "kwakungekho", "future": "ngeke kube khona"}[tense]
            return join(verb, noun_phrase(phrase, bare=tense == "present"), place)
        start = {"present": "kuna", "past": "kwakuna", "future": "kuzoba na"}[tense]
        return join(joined(start, subject), place)
    if clause.kind == "price":
        goods = noun_forms(phrase.noun)[1][phrase.plural]
        verb = "labiza" if tense == "past" else "libiza"
        return join("ikhilo elilodwa", joined("la", goods), verb, CURRENCIES[clause.currency], f"angu-{clause.amount}")
    verb = "lifinyelele" if tense == "past" else "lizofinyelela"
    return join("izinga lokushisa", place, verb, f"ku-{clause.amount}°C")


def statement(clause: Clause, fronted: bool = False, where: str = "", participial: bool = False) -> str:
    """A declarative clause, with the time first if fronted."""
    time = time_text(clause.time)
    if clause.kind != "verb":
        return join(time if fronted else "", copular(clause), "" if fronted else time)
    subject = "" if clause.elided else noun_phrase(clause.object if clause.passive else clause.subject)
    return join(time if fronted else "", subject, predicate(clause, "", fronted, where, participial))


def question(clause: Clause, mood: str) -> str:
    """An interrogative clause."""
    if mood == "yesno":
        return "ingabe " + statement(clause)
    if mood == "who":
        return join("ubani", predicate(clause, RELATIVES[1]))
    return statement(clause, where="kuphi")


def realize(sentence: Sentence) -> str:
    """The text of a sentence."""
    if sentence.mood != "statement":
        return finish(question(sentence.clause, sentence.mood), "?")
    if not sentence.second:
        return finish(statement(sentence.clause, sentence.fronted))
    first = statement(sentence.clause)
    if sentence.link in LINKS:
        return finish(first + LINKS[sentence.link] + statement(sentence.second))
    second = ("uma " if sentence.link == "if" else "ngesikhathi ") + statement(sentence.second, participial=True)
    return finish(f"{second}, {first}" if sentence.fronted else f"{first} {second}")
