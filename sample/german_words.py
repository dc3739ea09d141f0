"""German words: articles, endings, and the forms of nouns, adjectives and verbs."""

from functools import cache

from concepts import Adjective, Noun, Verb
from meaning import Phrase

LANGUAGE = "deu"
NUMBERS = dict(enumerate(["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"], 1))
GENDERS = {"der": 0, "die": 1, "das": 2}
PLURAL = 3
DEFINITE = {"nom": "der die das die", "acc": "den die das die", "dat": "dem der dem den"}
ENDINGS = {"nom": " e  e", "acc": "en e  e", "dat": "em er em en"}
STRONG = {"nom": "er e es e", "acc": "en e es e", "dat": "em er em en"}
WEAK = {"nom": "e e e en", "acc": "en e e en", "dat": "en en en en"}
MIXED = {"nom": "er e es en", "acc": "en e es en", "dat": "en en en en"}
POSSESSORS = {"1s": "mein", "2s": "dein", "3m": "sein", "3f": "ihr", "1p": "unser", "3p": "ihr"}
PERSONS = {
    (1, False): {"nom": "ich", "acc": "mich", "dat": "mir"},
    (1, True): {"nom": "wir", "acc": "uns", "dat": "uns"},
    (2, False): {"nom": "du", "acc": "dich", "dat": "dir"},
    (2, True): {"nom": "ihr", "acc": "euch", "dat": "euch"},
}
THIRD = {"nom": "er sie es sie", "acc": "ihn sie es sie", "dat": "ihm ihr ihm ihnen"}
AUXILIARIES = {
    "haben": ("habe hast hat haben habt haben", "hatte"),
    "sein": ("bin bist ist sind seid sind", "war"),
    "werden": ("werde wirst wird werden werdet werden", "wurde"),
}
CONTRACTIONS = {"in dem": "im", "an dem": "am", "zu dem": "zum", "zu der": "zur", "von dem": "vom"}
CURRENCIES = {"shilling": "Schilling", "euro": "Euro"}
LINKS = {"and": " und ", "but": ", aber ", "because": ", weil ", "if": ", wenn "}


def cell(table: dict[str, str], case: str, column: int) -> str:
    """An entry of a declension table."""
    return table[case].split(" ")[column]


@cache
def noun_forms(noun: Noun) -> tuple[int, str, str, bool]:
    """Gender, singular, plural and whether the noun is weak."""
    article, _, rest = noun.forms[LANGUAGE].partition(" ")
    singular, _, plural = rest.partition("/")
    return GENDERS[article], singular.rstrip("*"), plural, singular.endswith("*")


def noun_text(phrase: Phrase, case: str) -> str:
    """The declined noun."""
    gender, singular, plural, weak = noun_forms(phrase.noun)
    if phrase.plural:
        return plural + "n" if case == "dat" and plural[-1] not in "ns" else plural
    oblique = weak and (case == "dat" or (case == "acc" and gender == 0))
    return plural if oblique else singular


def column(phrase: Phrase) -> int:
    """The column of a phrase in the declension tables."""
    if phrase.plural:
        return PLURAL
    if phrase.noun:
        return noun_forms(phrase.noun)[0]
    return 1 if phrase.female else 0


def adjective_text(adjective: Adjective | None, ending: str) -> str:
    """A declined adjective."""
    return adjective.forms[LANGUAGE].split()[0] + ending if adjective else ""


def contract(preposition: str, phrase: str) -> str:
    """A preposition and a dative phrase, contracted where usual."""
    words = phrase.split(" ", 1)
    short = CONTRACTIONS.get(f"{preposition} {words[0]}")
    return f"{short} {words[1]}" if short and len(words) > 1 else f"{preposition} {phrase}"


def finite(infinitive: str, third: str, preterite: str, phrase: Phrase, past: bool) -> str:
    """The finite form that agrees with a subject."""
    person = phrase.person if phrase.pronoun else 3
    index = person - 1 + 3 * phrase.plural
    if infinitive in AUXILIARIES and not past:
        return AUXILIARIES[infinitive][0].split()[index]
    if past:
        ending = "n" if preterite.endswith("e") else "en"
        second = preterite + "st"
        return (preterite, second, preterite, preterite + ending, preterite + "t", preterite + ending)[index]
    stem = infinitive.removesuffix("n").removesuffix("e")
    modal = not third.endswith("t")
    first = third if modal else stem[:-2] + "le" if infinitive.endswith("eln") else stem + "e"
    base = third if modal or third.endswith(("ät", "dt")) else third[:-1]
    second = base[: -1 if third.endswith("dt") else None] + ("t" if base.endswith(("s", "ß", "z")) else "st")
    ihr = stem + ("et" if stem.endswith(("t", "d", "ffn")) else "t")
    return (first, second, third, infinitive, ihr, infinitive)[index]


@cache
def verb_forms(verb: Verb) -> tuple[str, str, str, str, str, str]:
    """Prefix, infinitive, present, preterite, participle and the last field of the entry."""
    parts = verb.forms[LANGUAGE].split()
    prefix, _, infinitive = parts[0].rpartition("+")
    last = parts[4] if len(parts) > 4 else ""
    if "inf" in verb.frame:
        return prefix, infinitive, parts[1], parts[2], "", parts[3] if len(parts) > 3 else ""
    return prefix, infinitive, parts[1], parts[2], prefix + parts[3], last


def auxiliary(name: str, subject: Phrase, past: bool = False) -> str:
    """A form of haben, sein or werden."""
    return finite(name, "", AUXILIARIES[name][1], subject, past)
