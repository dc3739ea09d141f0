"""German: from abstract sentences to text."""

from dataclasses import replace

from german_words import (
    CURRENCIES,
    DEFINITE,
    ENDINGS,
    LANGUAGE,
    LINKS,
    MIXED,
    NUMBERS,
    PERSONS,
    PLURAL,
    POSSESSORS,
    STRONG,
    THIRD,
    WEAK,
    adjective_text,
    auxiliary,
    cell,
    column,
    contract,
    finite,
    noun_text,
    verb_forms,
)
from meaning import Clause, Phrase, Place, Sentence, Time
from text import finish, join


def determiner(phrase: Phrase, case: str, negative: bool) -> tuple[str, dict[str, str]]:
    """The determiner and the adjective endings that follow it."""
    place = column(phrase)
    if phrase.number:
        return NUMBERS.get(phrase.number, str(phrase.number)), STRONG
    if phrase.quantifier == "many":
        return "viel" + cell(STRONG, case, PLURAL), STRONG
    if phrase.quantifier:
        return "all" + cell(STRONG, case, PLURAL), WEAK
    if phrase.demonstrative:
        return {"this": "dies", "that": "jen"}[phrase.demonstrative] + cell(STRONG, case, place), WEAK
    if phrase.possessor:
        return POSSESSORS[phrase.possessor] + cell(ENDINGS, case, place), MIXED
    if negative:
        return "kein" + cell(ENDINGS, case, place), MIXED
    if "generic" in phrase.noun.tags:
        return "", STRONG
    if phrase.definite:
        return cell(DEFINITE, case, place), WEAK
    if phrase.noun.mass or phrase.plural:
        return "", STRONG
    return "ein" + cell(ENDINGS, case, place), MIXED


def noun_phrase(phrase: Phrase, case: str, negative: bool = False) -> str:
    """A phrase in a case; negative turns "ein" into "kein"."""
    if phrase.pronoun:
        if phrase.person < 3:
            return PERSONS[phrase.person, phrase.plural][case]
        return cell(THIRD, case, column(phrase)) if phrase.noun or phrase.name else "wer"
    if phrase.name:
        return phrase.name.forms[LANGUAGE]
    word, endings = determiner(phrase, case, negative)
    text = join(word, adjective_text(phrase.adjective, cell(endings, case, column(phrase))), noun_text(phrase, case))
    if phrase.owner:
        text = join(text, contract("von", noun_phrase(phrase.owner, "dat")))
    if phrase.town:
        linker = "aus" if phrase.noun.human else "in" if phrase.noun.place else "von"
        text = join(text, linker, phrase.town.forms[LANGUAGE])
    if phrase.relative:
        text = f"{text}, {join(cell(DEFINITE, 'nom', column(phrase)), subordinate(phrase.relative, bare=True))},"
    return text


def verb_group(clause: Clause) -> tuple[str, str, str]:
    """Finite verb, separable prefix, and the non-finite verbs at the end."""
    prefix, infinitive, third, preterite, participle, last = verb_forms(clause.verb)
    subject, tense = (clause.object if clause.passive else clause.subject), clause.tense
    if clause.passive:
        tail = {"past": "", "future": "werden", "perfect": "worden"}[tense]
        name = "sein" if tense == "perfect" else "werden"
        return auxiliary(name, subject, tense == "past"), "", join(participle, tail)
    if tense == "future":
        return auxiliary("werden", subject), "", prefix + infinitive
    if tense == "perfect":
        return auxiliary("sein" if last == "s" else "haben", subject), "", participle
    tail = ""
    if clause.infinitive:
        inner = verb_forms(clause.infinitive)
        tail = f"{inner[0]}zu{inner[1]}" if last == "zu" and inner[0] else join(last, inner[0] + inner[1])
    return finite(infinitive, third, preterite, subject, tense == "past"), prefix, tail


def time_text(time: Time | None) -> str:
    """A time."""
    if not time:
        return ""
    if time.year:
        return f"im Jahr {time.year}"
    return f"um {time.hour} Uhr" if time.hour else time.adverb.forms[LANGUAGE]


def place_text(place: Place | None) -> str:
    """A place."""
    if not place or not (place.name or place.phrase):
        return ""
    if place.name:
        return join({"goal": "nach", "from": "aus"}.get(place.kind, "in"), place.name.forms[LANGUAGE])
    preposition = {"goal": "zu", "from": "von"}.get(place.kind) or place.phrase.noun.place[1]
    return contract(preposition, noun_phrase(place.phrase, "dat"))


def deniable(phrase: Phrase) -> bool:
    """Whether a phrase is negated with "kein"."""
    if not phrase.noun or phrase.pronoun:
        return False
    marked = phrase.definite and "generic" not in phrase.noun.tags
    return not (marked or phrase.number or phrase.quantifier)


def middle(clause: Clause, fronted: bool) -> str:
    """What stands between the finite verb and the verbs at the end."""
    patient, place = (None if clause.passive else clause.object), clause.place
    inner = "" if clause.main.frame & {"goal", "from", "loc"} else place_text(place)
    case = "dat" if "dat" in clause.main.frame else "acc"
    negated = clause.negative and bool(patient) and deniable(patient)
    text = noun_phrase(patient, case, negated) if patient else ""
    negation = "nicht" if clause.negative and not negated else ""
    counted = bool(patient and (patient.number or patient.quantifier))
    return join(
        text if patient and patient.pronoun else "",
        "" if fronted else time_text(clause.time),
        contract("von", noun_phrase(clause.subject, "dat")) if clause.passive else "",
        noun_phrase(clause.recipient, "dat") if clause.recipient else "",
        negation if counted else "",
        "" if patient and patient.pronoun else text,
        inner,
        "mit {}:{}".format(*clause.score) if clause.score else "",
        "" if counted else negation,
        clause.manner.forms[LANGUAGE] if clause.manner else "",
        "" if inner else place_text(place),
    )


def parts(clause: Clause, fronted: bool = False) -> tuple[str, str, str, str, str, str]:
    """Subject, finite verb, middle, prefix, verbs at the end, and what follows them."""
    if clause.kind == "verb":
        subject = clause.object if clause.passive else clause.subject
        verb, prefix, tail = verb_group(clause)
        content, after = middle(clause, fronted), ""
        if clause.infinitive and verb_forms(clause.verb)[5] == "zu":
            after = ", " + join(middle(replace(clause, negative=False), fronted), tail)
            content, tail = ("nicht" if clause.negative else ""), ""
        if clause.complement:
            after = f", dass {subordinate(clause.complement)}"
        return noun_phrase(subject, "nom"), verb, content, prefix, tail, after
    verb, content, tail = copular(clause)
    time = "" if fronted else time_text(clause.time)
    subject = clause.subject
    names = {"price": "ein Kilo", "exist": "es", "temperature": "die Temperatur"}
    text = names.get(clause.kind) or noun_phrase(subject, "nom")
    if clause.kind == "price":
        text = join(text, noun_text(subject, "nom"))
    if clause.kind == "temperature":
        text = join(text, place_text(clause.place))
    return text, verb, join(time, content), "", tail, ""


def copular(clause: Clause) -> tuple[str, str, str]:
    """Finite verb, middle and final verb of a clause without a full verb."""
    subject, past, future = clause.subject, clause.tense == "past", clause.tense == "future"
    negation = "nicht" if clause.negative else ""
    if clause.kind == "be":
        return auxiliary("sein", subject, past), join(negation, clause.adjective.forms[LANGUAGE].split()[1]), ""
    if clause.kind == "compare":
        degree = clause.adjective.forms[LANGUAGE].split()[2]
        return auxiliary("sein", subject), join(degree, "als", noun_phrase(clause.object, "nom")), ""
    if clause.kind == "at":
        return auxiliary("sein", subject, past), join(negation, place_text(clause.place)), ""
    if clause.kind == "have":
        name, item = ("werden" if future else "haben"), clause.object
        deny = clause.negative and deniable(item)
        text = join("nicht" if clause.negative and not deny else "", noun_phrase(item, "acc", deny))
        return auxiliary(name, subject, past), text, "haben" if future else ""
    if clause.kind == "exist":
        text = join(noun_phrase(subject, "acc", clause.negative), place_text(clause.place))
        return ("wird" if future else "gab" if past else "gibt"), text, "geben" if future else ""
    if clause.kind == "price":
        return "kostete" if past else "kostet", f"{clause.amount} {CURRENCIES[clause.currency]}", ""
    return ("wird" if future else "erreichte"), f"{clause.amount} Grad", "erreichen" if future else ""


def tidy(text: str) -> str:
    """Mend commas that relative clauses leave at the ends of clauses."""
    return text.replace(" ,", ",").replace(",,", ",").rstrip(",")


def main_clause(clause: Clause, fronted: bool = False, inverted: bool = False) -> str:
    """A clause with the verb in second place, or in the first if inverted."""
    subject, verb, content, prefix, tail, after = parts(clause, fronted)
    subject = "" if clause.elided else subject
    front = time_text(clause.time) if fronted else ""
    if front or inverted:
        return tidy(join(front, verb, subject, content, prefix + tail) + after)
    return tidy(join(subject, verb, content, prefix + tail) + after)


def subordinate(clause: Clause, bare: bool = False) -> str:
    """A clause with the verb at the end; bare omits the subject."""
    subject, verb, content, prefix, tail, after = parts(clause)
    return tidy(join("" if bare else subject, content, join(tail, prefix + verb)) + after)


def realize(sentence: Sentence) -> str:
    """The text of a sentence."""
    return finish(tidy(words(sentence)), "." if sentence.mood == "statement" else "?")


def words(sentence: Sentence) -> str:
    """The text of a sentence without its final mark."""
    clause, second = sentence.clause, sentence.second
    if sentence.mood == "who":
        return main_clause(clause)
    if sentence.mood != "statement":
        goal = clause.place and clause.place.kind == "goal"
        where = ("wohin" if goal else "wo") if sentence.mood == "where" else ""
        return join(where, main_clause(clause, inverted=True))
    if not second:
        return main_clause(clause, sentence.fronted)
    if sentence.link in ("and", "but"):
        return main_clause(clause) + LINKS[sentence.link] + main_clause(second)
    word = LINKS.get(sentence.link) or (", als " if second.tense == "past" else ", wenn ")
    if sentence.fronted:
        return f"{word[2:]}{subordinate(second)}, {main_clause(clause, inverted=True)}"
    return main_clause(clause) + word + subordinate(second)
