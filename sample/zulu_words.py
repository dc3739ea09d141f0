"""isiZulu words: concords, and the forms of nouns, adjectives, numbers and verbs."""

from functools import cache

from concepts import Adjective, Noun, Verb
from meaning import Phrase

LANGUAGE = "zul"
VOWELS = "aeiou"
CLASSES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15)


def by_class(words: str) -> dict[int, str]:
    """A table with one form for each class."""
    return dict(zip(CLASSES, words.split(), strict=True))


SUBJECTS = by_class("u ba u i li a si zi i zi lu bu ku")
NEGATIVES = by_class("aka aba awu ayi ali awa asi azi ayi azi alu abu aku")
PARTICIPIAL = by_class("e be u i li e si zi i zi lu bu ku")
OBJECTS = by_class("m ba wu yi li wa si zi yi zi lu bu ku")
RELATIVES = by_class("o aba o e eli a esi ezi e ezi olu obu oku")
ADJECTIVES = by_class("om aba om emi eli ama esi ezin en ezin olu obu oku")
POSSESSIVES = by_class("wa ba wa ya la a sa za ya za lwa ba kwa")
NAMED = by_class("ka baka ka ka lika ka sika zika ka zika luka buka kuka")
THIS = by_class("lo laba lo le leli la lesi lezi le lezi lolu lobu lokhu")
THAT = by_class("lowo labo lowo leyo lelo lawo leso lezo leyo lezo lolo lobo lokho")
WERE = by_class("waye babe wawu yayi lali aye sasi zazi yayi zazi lwalu babu kwaku")
ABSENT = by_class("akekho abekho awukho ayikho alikho awekho asikho azikho ayikho azikho alukho abukho akukho")
ALL = by_class("wonke bonke wonke yonke lonke onke sonke zonke yonke zonke lonke bonke konke")
PERSONS = {(1, False): "ngi", (1, True): "si", (2, False): "u", (2, True): "ni"}
PERSON_NEGATIVES = {(1, False): "angi", (1, True): "asi", (2, False): "awu", (2, True): "ani"}
PERSON_WERE = {(1, False): "ngangi", (1, True): "sasi", (2, False): "wawu", (2, True): "nani"}
GLIDES = {"u": "w", "i": "y", "a": "", "ku": "kw", "lu": "lw", "bu": "b", "e": "", "wu": "w", "yi": "y", "m": "m"}
STEMS = {"1s": "mi", "2s": "kho", "3m": "khe", "3f": "khe", "1p": "ithu", "3p": "bo"}
NUMBERS = {2: "bili", 3: "thathu", 4: "ne", 5: "hlanu"}
NASAL_NUMBERS = {2: "ezimbili", 3: "ezintathu", 4: "ezine", 5: "ezinhlanu"}
CURRENCIES = {"shilling": "amasheleni", "euro": "ama-euro"}
COALESCED = {"u": "o", "o": "o", "i": "e", "e": "e", "a": "a"}
LINKS = {"and": " futhi ", "but": ", kodwa ", "because": " ngoba "}


@cache
def noun_forms(noun: Noun) -> tuple[tuple[int, int], tuple[str, str]]:
    """Classes and forms, each for singular and plural."""
    classes, _, rest = noun.forms[LANGUAGE].partition(" ")
    first, _, second = classes.partition("/")
    singular, _, plural = rest.partition("/")
    return (int(first), int(second) if second != "-" else 0), (singular, plural)


def noun_class(phrase: Phrase) -> int:
    """The class that agrees with a phrase."""
    return noun_forms(phrase.noun)[0][phrase.plural] if phrase.noun else 1 + phrase.plural


def joined(prefix: str, word: str) -> str:
    """A prefix in -a before a word: the vowels coalesce."""
    return prefix[:-1] + COALESCED.get(word[0], "a" + word[0]) + word[1:]


def concord(phrase: Phrase, table: dict[int, str], persons: dict[tuple[int, bool], str]) -> str:
    """The concord of a subject."""
    if phrase.pronoun and phrase.person < 3:
        return persons[phrase.person, phrase.plural]
    return table[noun_class(phrase)]


def attach(prefix: str, stem: str) -> str:
    """A prefix before a stem; its vowel glides or drops before a vowel."""
    if stem[0] not in VOWELS or not prefix:
        return prefix + stem
    if stem[0] == "o" and prefix == "ku":
        return "k" + stem
    if prefix in GLIDES:
        return GLIDES[prefix] + stem
    return prefix.rstrip(VOWELS) + stem


@cache
def adjective_forms(adjective: Adjective) -> tuple[str, str, str]:
    """Kind (a: adjective, r: relative), stem and nasal form."""
    kind, stem, nasal = adjective.forms[LANGUAGE].split()
    return kind, stem.replace("_", " "), nasal


def attribute(adjective: Adjective | None, number: int) -> str:
    """An adjective after its noun."""
    if not adjective:
        return ""
    kind, stem, nasal = adjective_forms(adjective)
    if kind == "r":
        return RELATIVES[number] + stem
    if number in (8, 9, 10):
        return ADJECTIVES[number][:-1] + nasal
    prefix = ADJECTIVES[number] + ("u" if number in (1, 3) and len(stem) <= 3 else "")
    return prefix + stem


def predicative(adjective: Adjective, phrase: Phrase) -> str:
    """An adjective as predicate, without subject concord."""
    number = noun_class(phrase)
    if adjective_forms(adjective)[0] == "r":
        return adjective_forms(adjective)[1]
    word = attribute(adjective, number)
    return "i" + word[1:] if number == 9 else word[1:]


def number_text(number: int, noun_number: int) -> str:
    """A cardinal number that agrees with a noun class."""
    if not number:
        return ""
    if number not in NUMBERS:
        return f"{RELATIVES[noun_number]}ngu-{number}"
    return NASAL_NUMBERS[number] if noun_number in (8, 10) else ADJECTIVES[noun_number] + NUMBERS[number]


@cache
def verb_forms(verb: Verb, passive: bool) -> tuple[str, str, str]:
    """Stem, short and long past stem."""
    entry, _, irregular = verb.forms[LANGUAGE].partition(":")
    stem, _, passive_stem = entry.partition("/")
    if passive:
        return passive_stem, passive_stem[:-1] + "e", passive_stem[:-2] + "iwe"
    if irregular:
        return stem, irregular, irregular
    return stem, stem[:-1] + "e", stem[:-1] + "ile"
