"""English: from abstract sentences to text."""

import re
from functools import cache

from concepts import Adjective, Noun, Verb
from meaning import Clause, Phrase, Place, Sentence, Time
from text import finish, join

LANGUAGE = "eng"
NUMBERS = dict(enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1))
SUBJECTS = {(1, False): "I", (1, True): "we", (2, False): "you", (2, True): "you"}
OBJECTS = {(1, False): "me", (1, True): "us"}
POSSESSORS = {"1s": "my", "2s": "your", "3m": "his", "3f": "her", "1p": "our", "3p": "their"}
STATES = {"like", "love", "know", "need", "fear", "think", "want", "can", "say", "report"}
DEMONSTRATIVES = {("this", False): "this", ("this", True): "these", ("that", False): "that", ("that", True): "those"}
CURRENCIES = {"shilling": "shillings", "euro": "euros"}


@cache
def noun_forms(noun: Noun) -> tuple[str, str]:
    """Singular and plural."""
    singular, _, plural = noun.forms[LANGUAGE].partition("/")
    return singular, plural if plural and plural != "-" else with_s(singular)


def with_s(word: str) -> str:
    """A word with the ending -s."""
    if re.search(r"(s|x|z|ch|sh)$|^go$", word):
        return word + "es"
    return re.sub(r"(?<=[^aeiou])y$", "ie", word) + "s"


@cache
def verb_forms(verb: Verb) -> dict[str, str]:
    """Infinitive, third person singular, past, participle and -ing form."""
    parts = verb.forms[LANGUAGE].split()
    head, _, rest = parts[0].partition("_")
    regular = head + "d" if head.endswith("e") else re.sub(r"(?<=[^aeiou])y$", "i", head) + "ed"
    stem = re.sub(r"(?<=[^e])e$", "", head)
    if re.fullmatch(r"[^aeiou]+[aeiou][^aeiouwxy]", stem) and stem == head:
        stem += stem[-1]
    doubled = re.fullmatch(r"[^aeiou]+[aeiou][^aeiouwxy]", head)
    if doubled and len(parts) == 1:
        regular = head + head[-1] + "ed"
    forms = {"inf": head, "3s": with_s(head), "past": regular, "part": regular, "ing": stem + "ing"}
    forms = {key: join(form, rest) for key, form in forms.items()}
    if len(parts) == 3:
        forms["past"], forms["part"] = parts[1].replace("_", " "), parts[2].replace("_", " ")
    return forms


def article(word: str) -> str:
    """The indefinite article before a word."""
    return "an" if word[0].lower() in "aeiou" and not word.startswith("one") else "a"


def adjective_text(adjective: Adjective | None) -> str:
    """The adjective, if any."""
    return adjective.forms[LANGUAGE].rsplit(" ", 1)[0] if adjective else ""


def comparative(adjective: Adjective) -> str:
    """The comparative of an adjective."""
    positive, form = adjective.forms[LANGUAGE].rsplit(" ", 1)
    return f"more {positive}" if form == "-" else form


def determiner(phrase: Phrase, following: str) -> str:
    """What comes before the adjective and the noun."""
    noun = phrase.noun
    if phrase.number:
        return NUMBERS.get(phrase.number, str(phrase.number))
    if phrase.quantifier:
        return phrase.quantifier
    if phrase.demonstrative:
        return DEMONSTRATIVES[phrase.demonstrative, phrase.plural]
    if phrase.possessor:
        return POSSESSORS[phrase.possessor]
    if phrase.owner:
        owner = noun_phrase(phrase.owner)
        return owner + ("'" if owner.endswith("s") and phrase.owner.plural else "'s")
    if phrase.definite:
        return "" if "generic" in noun.tags else "the"
    return "" if noun.mass or phrase.plural else article(following)


def noun_phrase(phrase: Phrase, case: str = "subject") -> str:
    """A phrase as subject or object."""
    if phrase.pronoun:
        return pronoun(phrase, case)
    if phrase.name:
        return phrase.name.forms[LANGUAGE]
    body = join(adjective_text(phrase.adjective), noun_forms(phrase.noun)[phrase.plural])
    text = join(determiner(phrase, body), body)
    if phrase.town:
        linker = "from" if phrase.noun.human else "in" if phrase.noun.place else "of"
        text = join(text, linker, phrase.town.forms[LANGUAGE])
    if phrase.relative:
        text = join(text, "who", predicate(phrase.relative))
    return text


def pronoun(phrase: Phrase, case: str) -> str:
    """A personal or interrogative pronoun."""
    if phrase.person < 3:
        return (SUBJECTS if case == "subject" else OBJECTS)[phrase.person, phrase.plural]
    if not (phrase.noun or phrase.name):
        return "who"
    if phrase.plural:
        return "they" if case == "subject" else "them"
    if not phrase.human:
        return "it"
    return ("she", "her")[case != "subject"] if phrase.female else ("he", "him")[case != "subject"]


def be(subject: Phrase, tense: str) -> str:
    """The finite form of to be."""
    plural = subject.plural or (subject.pronoun and subject.person == 2)
    if tense == "past":
        return "were" if plural else "was"
    return "are" if plural else "am" if subject.pronoun and subject.person == 1 else "is"


def third(subject: Phrase) -> bool:
    """Whether the subject takes the -s form."""
    return subject.person == 3 and not subject.plural


def verb_group(clause: Clause, supported: bool) -> tuple[str, str]:
    """Auxiliary and main verb; supported asks for an auxiliary, as negation and questions do."""
    forms, tense = verb_forms(clause.verb), clause.tense
    subject = clause.object if clause.passive else clause.subject
    has = "has" if third(subject) else "have"
    if clause.passive:
        aux = {"future": "will", "perfect": has}.get(tense) or be(subject, tense)
        return aux, join({"future": "be", "perfect": "been"}.get(tense, ""), forms["part"])
    if clause.verb.id == "can":
        return "could" if tense == "past" else "can", verb_forms(clause.infinitive)["inf"]
    tail = "to " + verb_forms(clause.infinitive)["inf"] if clause.infinitive else ""
    if tense == "future":
        return "will", join(forms["inf"], tail)
    if tense == "perfect":
        return has, join(forms["part"], tail)
    if clause.time and clause.time.ongoing and clause.verb.id not in STATES:
        return be(subject, "present"), forms["ing"]
    if supported:
        return "did" if tense == "past" else "does" if third(subject) else "do", join(forms["inf"], tail)
    return "", join(forms["past" if tense == "past" else "3s" if third(subject) else "inf"], tail)


def time_text(time: Time | None) -> str:
    """A time."""
    if not time:
        return ""
    if time.year:
        return f"in {time.year}"
    return f"at {time.hour} o'clock" if time.hour else time.adverb.forms[LANGUAGE]


def place_text(place: Place | None) -> str:
    """A place."""
    if not place or not (place.name or place.phrase):
        return ""
    preposition = {"goal": "to", "from": "from"}.get(place.kind)
    if place.name:
        return join(preposition or "in", place.name.forms[LANGUAGE])
    return join(preposition or place.phrase.noun.place[0], noun_phrase(place.phrase))


def complements(clause: Clause, fronted: bool = False) -> str:
    """What follows the verb."""
    place = place_text(clause.place)
    static = bool(clause.place and clause.place.kind == "loc")
    return join(
        noun_phrase(clause.object, "object") if clause.object and not clause.passive else "",
        "to " + noun_phrase(clause.recipient, "object") if clause.recipient else "",
        "by " + noun_phrase(clause.subject, "object") if clause.passive else "",
        "{}-{}".format(*clause.score) if clause.score else "",
        "" if static else place,
        clause.manner.forms[LANGUAGE] if clause.manner else "",
        place if static else "",
        "" if fronted else time_text(clause.time),
        "that " + statement(clause.complement) if clause.complement else "",
    )


def predicate(clause: Clause, fronted: bool = False) -> str:
    """Verb and what follows it."""
    aux, main = verb_group(clause, clause.negative)
    negated = join(aux, "not").replace("can not", "cannot") if clause.negative else aux
    return join(negated, main, complements(clause, fronted))


def copular(clause: Clause) -> str:
    """A clause with be or have, or about prices and temperatures."""
    negation, tense = "not" if clause.negative else "", clause.tense
    subject = "" if clause.elided else noun_phrase(clause.subject)
    if clause.kind == "be":
        return join(subject, be(clause.subject, tense), negation, adjective_text(clause.adjective))
    if clause.kind == "compare":
        than = join("than", noun_phrase(clause.object))
        return join(subject, be(clause.subject, tense), comparative(clause.adjective), than)
    if clause.kind == "at":
        return join(subject, be(clause.subject, tense), negation, place_text(clause.place))
    if clause.kind == "exist":
        verb = "will be" if tense == "future" else be(clause.subject, tense)
        item = "no " + re.sub("^an? ", "", subject) if clause.negative else subject
        return join("there", verb, item, place_text(clause.place))
    if clause.kind == "have":
        have = {"past": "had", "future": "will have"}.get(tense) or ("has" if third(clause.subject) else "have")
        if clause.negative:
            do = {"past": "did", "future": "will"}.get(tense) or ("does" if third(clause.subject) else "do")
            have = join(do, "not have")
        return join(subject, have, noun_phrase(clause.object, "object"))
    if clause.kind == "price":
        goods = noun_forms(clause.subject.noun)[clause.subject.plural]
        verb = "cost" if tense == "past" else "costs"
        return join("one kilo of", goods, verb, str(clause.amount), CURRENCIES[clause.currency])
    verb = "reached" if tense == "past" else "will reach"
    return join("the temperature", place_text(clause.place), verb, f"{clause.amount} degrees")


def statement(clause: Clause, fronted: bool = False) -> str:
    """A declarative clause, with the time first if fronted."""
    time = time_text(clause.time) if fronted else ""
    if clause.kind != "verb":
        return join(time, copular(clause), "" if fronted else time_text(clause.time))
    subject = clause.object if clause.passive else clause.subject
    return join(time, "" if clause.elided else noun_phrase(subject), predicate(clause, fronted))


def question(clause: Clause, mood: str) -> str:
    """An interrogative clause."""
    if mood == "who":
        return statement(clause)
    aux, main = verb_group(clause, True)
    subject = noun_phrase(clause.object if clause.passive else clause.subject)
    where, negation = "where" if mood == "where" else "", "not" if clause.negative else ""
    return join(where, aux, subject, negation, main, complements(clause))


def realize(sentence: Sentence) -> str:
    """The text of a sentence."""
    if sentence.mood != "statement":
        return finish(question(sentence.clause, sentence.mood), "?")
    if not sentence.second:
        return finish(statement(sentence.clause, sentence.fronted))
    first, second = statement(sentence.clause), statement(sentence.second)
    if sentence.fronted:
        return finish(f"{sentence.link} {second}, {first}")
    comma = "," if sentence.link == "but" else ""
    return finish(f"{first}{comma} {sentence.link} {second}")
