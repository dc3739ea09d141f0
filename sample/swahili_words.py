"""Swahili words: concords, and the forms of nouns, adjectives, numbers and verbs."""

from functools import cache

from concepts import Adjective, Noun, Verb
from meaning import Phrase

LANGUAGE = "swa"
CLASSES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 17)


def by_class(words: str) -> dict[int, str]:
    """A table with one form for each class; "0" is the empty form."""
    return {c: w.replace("0", "") for c, w in zip(CLASSES, words.split(), strict=True)}


SUBJECTS = by_class("a wa u i li ya ki vi i zi u u ku ku")
OBJECTS = by_class("m wa u i li ya ki vi i zi u u ku ku")
LINKERS = by_class("w w w y l y ch vy y z w w kw kw")
THIS = by_class("huyu hawa huu hii hili haya hiki hivi hii hizi huu huu huku huku")
THAT = by_class("yule wale ule ile lile yale kile vile ile zile ule ule kule kule")
RELATIVES = by_class("ye o o yo lo yo cho vyo yo zo o o ko ko")
PREFIXES = by_class("m wa m mi 0 ma ki vi 0 0 m m ku ku")
BEFORE_E = by_class("mw w mw my j m ch vy ny ny mw mw kw kw")
BEFORE_A = by_class("mw wa mw my j ma ch vy ny ny mw mw kw kw")
MANY = by_class("mwingi wengi mwingi mingi jingi mengi kingi vingi nyingi nyingi mwingi mwingi kwingi kwingi")
PERSONS = {(1, False): "ni", (1, True): "tu", (2, False): "u", (2, True): "m"}
PERSON_OBJECTS = {(1, False): "ni", (1, True): "tu"}
POSSESSORS = {"1s": "angu", "2s": "ako", "3m": "ake", "3f": "ake", "1p": "etu", "3p": "ao"}
NUMBERS = dict(enumerate(["moja", "wili", "tatu", "nne", "tano", "sita", "saba", "nane", "tisa", "kumi"], 1))
AGREEING = {2, 3, 4, 5, 8}
NASAL_NUMBERS = {2: "mbili", 3: "tatu", 4: "nne", 5: "tano", 8: "nane"}
TENSES = {"past": "li", "present": "na", "future": "ta", "perfect": "me"}
NEGATIVE_TENSES = {"past": "ku", "present": "", "future": "ta", "perfect": "ja"}
HOURS = {7: "moja", 8: "mbili", 9: "tatu", 10: "nne", 11: "tano"}
CURRENCIES = {"shilling": "shilingi", "euro": "euro"}
LINKS = {"and": " na ", "but": ", lakini ", "because": " kwa sababu "}


@cache
def noun_forms(noun: Noun) -> tuple[tuple[int, int], bool, tuple[str, str]]:
    """Classes, whether it is a kinship noun, and forms, each for singular and plural."""
    classes, _, rest = noun.forms[LANGUAGE].partition(" ")
    singular_class, _, plural_class = classes.rstrip("k").partition("/")
    singular, _, plural = rest.partition("/")
    numbers = int(singular_class), int(plural_class) if plural_class != "-" else 0
    return numbers, classes.endswith("k"), (singular, plural)


def noun_class(phrase: Phrase) -> int:
    """The class that agrees with a phrase."""
    return noun_forms(phrase.noun)[0][phrase.plural] if phrase.noun else 1 + phrase.plural


@cache
def agree(stem: str, number: int) -> str:
    """An adjective in a class."""
    if stem.startswith("="):
        return stem[1:]
    if stem[0] in "ea":
        if stem == "ema" and number in (9, 10):
            return "njema"
        return (BEFORE_E if stem[0] == "e" else BEFORE_A)[number] + stem
    if number in (9, 10):
        return nasal(stem)
    return "jipya" if (stem, number) == ("pya", 5) else PREFIXES[number] + stem


def nasal(stem: str) -> str:
    """An adjective in the nasal classes 9 and 10."""
    if stem == "pya" or stem[0] in "bv":
        return "m" + stem
    if stem[0] == "r":
        return "nd" + stem[1:]
    return "n" + stem if stem[0] in "dgjz" else stem


def adjective_text(adjective: Adjective | None, phrase: Phrase) -> str:
    """An adjective that agrees with a phrase."""
    return agree(adjective.forms[LANGUAGE], noun_class(phrase)) if adjective else ""


def number_text(number: int, noun_number: int) -> str:
    """A cardinal number that agrees with a noun class."""
    if not number or number > 10:
        return str(number or "")
    if number not in AGREEING:
        return NUMBERS[number]
    return NASAL_NUMBERS[number] if noun_number in (9, 10) else PREFIXES[noun_number] + NUMBERS[number]


def linked(number: int, owner: str) -> str:
    """The connective -a and an owner."""
    return f"{LINKERS[number]}a {owner}"


@cache
def verb_forms(verb: Verb, passive: bool) -> tuple[str, str, bool]:
    """Stem, following words, and whether the stem keeps ku-."""
    stem, _, passive_stem = verb.forms[LANGUAGE].partition("/")
    if passive:
        return passive_stem, "", False
    head, _, rest = stem.partition(" ")
    return head.rstrip("*"), rest, head.endswith("*")


def with_ku(stem: str) -> str:
    """The infinitive of a stem."""
    return ("kw" if stem == "enda" else "ku") + stem


def prefixed(concord: str, stem: str) -> str:
    """A stem with an object prefix."""
    if concord == "m" and stem[0] in "aeiou":
        return ("mu" if stem[0] == "u" else "mw") + stem
    return concord + stem
