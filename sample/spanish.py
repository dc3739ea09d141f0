"""Spanish: from abstract sentences to text."""

import re
from functools import cache

from concepts import Adjective, Noun, Verb
from meaning import Clause, Phrase, Place, Sentence, Time
from text import finish, join

LANGUAGE = "spa"
NUMBERS = dict(enumerate(["uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez"], 1))
PLAIN = str.maketrans("áéíóú", "aeiou")
ENDINGS = {"ar": "o as a amos an", "er": "o es e emos en", "ir": "o es e imos en"}
PAST = {"ar": "é aste ó amos aron", "er": "í iste ió imos ieron", "ir": "í iste ió imos ieron"}
FUTURE = ["é", "ás", "á", "emos", "án"]
SLOTS = ("1s", "2s", "3s", "1p", "3p")
POSSESSORS = {"1s": "mi", "2s": "tu", "3m": "su", "3f": "su", "1p": "nuestr", "3p": "su"}
CURRENCIES = {"shilling": "chelines", "euro": "euros"}
LINKS = {"and": "y", "but": "pero", "because": "porque", "when": "cuando", "if": "si"}
HABER = {"present": "he has ha hemos han"}
SER = {
    "present": "soy eres es somos son",
    "past": "era eras era éramos eran",
    "passive": "fui fuiste fue fuimos fueron",
    "future": "seré serás será seremos serán",
}
ESTAR = {"present": "estoy estás está estamos están", "past": "estaba estabas estaba estábamos estaban"}
TENER = {
    "present": "tengo tienes tiene tenemos tienen",
    "past": "tenía tenías tenía teníamos tenían",
    "future": "tendré tendrás tendrá tendremos tendrán",
}


@cache
def noun_forms(noun: Noun) -> tuple[str, str, str]:
    """Gender (m, f, fa), singular and plural."""
    gender, _, rest = noun.forms[LANGUAGE].partition(" ")
    singular, _, plural = rest.partition("/")
    return gender, singular, plural or plural_of(singular)


def plural_of(word: str) -> str:
    """The regular plural."""
    if word.endswith("z"):
        return word[:-1] + "ces"
    if re.search("[áéíóú][ns]$", word):
        return word[:-2] + word[-2:].translate(PLAIN) + "es"
    return word + ("s" if word[-1] in "aeiouáéó" else "es")


def feminine(phrase: Phrase) -> bool:
    """The grammatical gender of a phrase."""
    return noun_forms(phrase.noun)[0].startswith("f") if phrase.noun else phrase.female


def agree(stem: str, phrase: Phrase) -> str:
    """An adjective or participle that agrees with a phrase."""
    word = stem[:-1] + "a" if stem.endswith("o") and feminine(phrase) else stem
    return plural_of(word) if phrase.plural else word


def adjective_text(adjective: Adjective | None, phrase: Phrase) -> str:
    """An adjective that agrees with a phrase."""
    return agree(adjective.forms[LANGUAGE].split()[0], phrase) if adjective else ""


@cache
def verb_forms(verb: Verb) -> dict[str, str]:
    """All finite forms (present 1s.., preterite P1s.., future F1s..), inf and part."""
    parts = verb.forms[LANGUAGE].split()
    infinitive, _, preposition = parts[0].partition("_")
    given = dict(part.split("=") for part in parts[1:])
    stem, kind = infinitive[:-2], infinitive[-2:].translate(PLAIN)
    forms = {slot: stem + ending for slot, ending in zip(SLOTS, ENDINGS[kind].split(), strict=True)}
    if "3s" in given:
        base = given["3s"]
        forms.update({"1s": base[:-1] + "o", "2s": base + "s", "3p": base + "n"})
    forms.update({"P" + slot: stem + ending for slot, ending in zip(SLOTS, PAST[kind].split(), strict=True)})
    if kind == "ar":
        forms["P1s"] = re.sub("gé$", "gué", re.sub("cé$", "qué", re.sub("zé$", "cé", forms["P1s"])))
    future = given.get("fut", infinitive.translate(PLAIN))
    forms.update({"F" + slot: future + ending for slot, ending in zip(SLOTS, FUTURE, strict=True)})
    regular = stem + ("ado" if kind == "ar" else "ido")
    return {**forms, "inf": infinitive, "part": regular, "prep": preposition, **given}


def slot(phrase: Phrase) -> int:
    """The index of the person of a subject."""
    person = phrase.person if phrase.pronoun else 3
    if phrase.plural:
        return 3 if person == 1 else 4
    return person - 1


def auxiliary(table: dict[str, str], tense: str, phrase: Phrase) -> str:
    """A form of an auxiliary verb."""
    return table[tense].split()[slot(phrase)]


def determiner(phrase: Phrase) -> str:
    """What comes before the noun."""
    index = 2 * phrase.plural + feminine(phrase)
    if phrase.number:
        return NUMBERS.get(phrase.number, str(phrase.number))
    if phrase.quantifier:
        return {"many": ("muchos", "muchas"), "all": ("todos los", "todas las")}[phrase.quantifier][index - 2]
    if phrase.demonstrative == "this":
        return ("este", "esta", "estos", "estas")[index]
    if phrase.demonstrative:
        return ("aquel", "aquella", "aquellos", "aquellas")[index]
    if phrase.possessor:
        word = POSSESSORS[phrase.possessor]
        return word + ("o", "a", "os", "as")[index] if phrase.possessor == "1p" else word + "s" * phrase.plural
    if phrase.definite:
        return "el" if noun_forms(phrase.noun)[0] == "fa" and not phrase.plural else ("el", "la", "los", "las")[index]
    return "" if phrase.noun.mass else ("un", "una", "unos", "unas")[index]


def noun_phrase(phrase: Phrase) -> str:
    """A phrase; subject pronouns are left out."""
    if phrase.pronoun:
        return "" if phrase.person < 3 or phrase.noun or phrase.name else "quién"
    if phrase.name:
        return phrase.name.forms[LANGUAGE]
    noun = noun_forms(phrase.noun)[1 + phrase.plural]
    text = join(determiner(phrase), noun, adjective_text(phrase.adjective, phrase))
    if phrase.owner:
        text = join(text, after("de", noun_phrase(phrase.owner)))
    if phrase.town:
        text = join(text, "de", phrase.town.forms[LANGUAGE])
    if phrase.relative:
        text = join(text, "que", predicate(phrase.relative))
    return text


def after(preposition: str, text: str) -> str:
    """A preposition and a phrase, with al and del."""
    if preposition in ("a", "de") and text.startswith("el "):
        return ("al" if preposition == "a" else "del") + text[2:]
    return f"{preposition} {text}"


def clitic(clause: Clause) -> str:
    """The weak object pronoun."""
    if clause.recipient:
        return "les" if clause.recipient.plural else "le"
    item = clause.object
    if not item or not item.pronoun or clause.passive:
        return ""
    if item.person == 1:
        return "nos" if item.plural else "me"
    return ("lo", "la", "los", "las")[2 * item.plural + feminine(item)]


def verb_text(clause: Clause) -> str:
    """Negation, weak pronoun and verb."""
    forms, subject = verb_forms(clause.verb), clause.subject
    negation, weak = "no" if clause.negative else "", clitic(clause)
    if clause.passive:
        subject = clause.object
        part = agree(forms["part"], subject)
        if clause.tense == "perfect":
            return join(negation, auxiliary(HABER, "present", subject), "sido", part)
        return join(negation, auxiliary(SER, "future" if clause.tense == "future" else "passive", subject), part)
    name = SLOTS[slot(subject)]
    if clause.infinitive:
        verb = forms["P" + name] if clause.tense == "past" else forms[name]
        if clause.tense == "past" and forms["inf"] in ("querer", "poder"):
            verb = forms["inf"][:-2] + ["ía", "ías", "ía", "íamos", "ían"][slot(subject)]
        return join(negation, weak, verb, forms["prep"], verb_forms(clause.infinitive)["inf"])
    if clause.tense == "perfect":
        return join(negation, weak, auxiliary(HABER, "present", subject), forms["part"])
    prefix = {"past": "P", "future": "F"}.get(clause.tense, "")
    return join(negation, weak, forms[prefix + name])


def time_text(time: Time | None) -> str:
    """A time."""
    if not time:
        return ""
    if time.year:
        return f"en {time.year}"
    return f"a las {time.hour}" if time.hour else time.adverb.forms[LANGUAGE]


def place_text(place: Place | None) -> str:
    """A place."""
    if not place or not (place.name or place.phrase):
        return ""
    preposition = {"goal": "a", "from": "de"}.get(place.kind, "en")
    if place.name:
        return f"{preposition} {place.name.forms[LANGUAGE]}"
    return after(preposition, noun_phrase(place.phrase))


def complements(clause: Clause, fronted: bool = False) -> str:
    """What follows the verb."""
    item = None if clause.passive else clause.object
    patient = noun_phrase(item) if item else ""
    if patient and (item.human or "team" in item.noun.tags):
        patient = after("a", patient)
    that = ""
    if clause.complement:
        that = join(verb_forms(clause.verb)["prep"], "que", statement(clause.complement))
    return join(
        patient,
        after("por", noun_phrase(clause.subject)) if clause.passive else "",
        after("a", noun_phrase(clause.recipient)) if clause.recipient else "",
        "por {}-{}".format(*clause.score) if clause.score else "",
        place_text(clause.place) if clause.place and clause.place.kind != "loc" else "",
        clause.manner.forms[LANGUAGE] if clause.manner else "",
        place_text(clause.place) if clause.place and clause.place.kind == "loc" else "",
        "" if fronted else time_text(clause.time),
        that,
    )


def predicate(clause: Clause, fronted: bool = False) -> str:
    """Verb and what follows it."""
    return join(verb_text(clause), complements(clause, fronted))


def copular(clause: Clause) -> str:
    """A clause without a full verb."""
    negation, tense, phrase = "no" if clause.negative else "", clause.tense, clause.subject
    subject = "" if clause.elided else noun_phrase(phrase)
    if clause.kind in ("be", "compare"):
        positive, degree, copula = clause.adjective.forms[LANGUAGE].split()
        verb = auxiliary(ESTAR if copula == "estar" else SER, tense, phrase)
        if clause.kind == "be":
            return join(subject, negation, verb, agree(positive, phrase))
        more = f"más {agree(positive, phrase)}" if degree == "-" else agree(degree, phrase)
        return join(subject, verb, more, "que", noun_phrase(clause.object))
    if clause.kind == "at":
        return join(subject, negation, auxiliary(ESTAR, tense, phrase), place_text(clause.place))
    if clause.kind == "have":
        return join(subject, negation, auxiliary(TENER, tense, phrase), noun_phrase(clause.object))
    if clause.kind == "exist":
        verb = {"present": "hay", "past": "había", "future": "habrá"}[tense]
        if clause.negative:
            subject = re.sub("^un ", "ningún ", re.sub("^una ", "ninguna ", subject))
        return join(negation, verb, subject, place_text(clause.place))
    if clause.kind == "price":
        goods = noun_forms(phrase.noun)[1 + phrase.plural]
        verb = "costaba" if tense == "past" else "cuesta"
        return join("un kilo de", goods, verb, str(clause.amount), CURRENCIES[clause.currency])
    verb = "alcanzó" if tense == "past" else "alcanzará"
    return join("la temperatura", place_text(clause.place), verb, "los", str(clause.amount), "grados")


def statement(clause: Clause, fronted: bool = False) -> str:
    """A declarative clause, with the time first if fronted."""
    time = time_text(clause.time)
    if clause.kind != "verb":
        return join(time if fronted else "", copular(clause), "" if fronted else time)
    subject = clause.object if clause.passive else clause.subject
    text = "" if clause.elided else noun_phrase(subject)
    return join(time if fronted else "", text, predicate(clause, fronted))


def question(clause: Clause, mood: str) -> str:
    """An interrogative clause: the subject follows the verb."""
    if mood == "who":
        return statement(clause)
    goal = clause.place and clause.place.kind == "goal"
    where = ("adónde" if goal else "dónde") if mood == "where" else ""
    subject = noun_phrase(clause.object if clause.passive else clause.subject)
    return join(where, verb_text(clause), subject, complements(clause))


def realize(sentence: Sentence) -> str:
    """The text of a sentence."""
    if sentence.mood != "statement":
        return "¿" + finish(question(sentence.clause, sentence.mood), "?")
    if not sentence.second:
        return finish(statement(sentence.clause, sentence.fronted))
    link, first, second = LINKS[sentence.link], statement(sentence.clause), statement(sentence.second)
    if sentence.fronted:
        return finish(f"{link} {second}, {first}")
    link = "e" if link == "y" and re.match("h?i", second) else link
    return finish(f"{first}{',' if link == 'pero' else ''} {link} {second}")
