"""The script a token is written in."""

from collections import Counter
from functools import cache

import regex

from focus_plugin.vocabulary.forms import WORD_START, is_bytes

OTHER, BYTES, NUMBERS, SYMBOLS = "other script", "bytes", "numbers", "punctuation, symbols"
SCRIPTS = (  # in present use: Unicode Standard Annex 31, tables 5 and 7
    "Latin Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Hangul Han "
    "Hebrew Hiragana Kannada Katakana Khmer Lao Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai Tibetan "
    "Adlam Balinese Bamum Batak Canadian_Aboriginal Cham Cherokee Javanese Kayah_Li Lepcha Limbu Lisu Mandaic "
    "Meetei_Mayek Mongolian New_Tai_Lue Nko Ol_Chiki Saurashtra Sundanese Syloti_Nagri Syriac Tai_Le Tai_Tham "
    "Tai_Viet Tifinagh Vai Yi"
)
_SCRIPT = regex.compile(
    "|".join(rf"(?P<{script}>\p{{Script={script}}})" for script in SCRIPTS.split())
    + r"|(?P<other>[^\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}])"
)
_UNKNOWN = "Unknown"
_WITHOUT = {name: regex.compile(rf"\p{{Script={name}}}") for name in ("Common", "Inherited")}


def script(form: str) -> str:
    """The name of the script that a token is written in; ``form``: its canonical form.

    This is the Unicode script of the first character that has one, with spaces in its name. If no character has one,
    the result is BYTES, NUMBERS or SYMBOLS.
    """
    if is_bytes(form):
        return BYTES
    if found := _SCRIPT.search(form):
        return _name(found)
    return NUMBERS if any(character.isnumeric() for character in form) else SYMBOLS


def main_script(form: str) -> str:
    """The name of the script of most characters of a token; ``form``: its canonical form.

    If several scripts have most characters, it is the one that occurs first. The word-start mark does not count, unless
    it is the whole token. Unlike for ``script``, characters without a script of their own count as well, as the Unicode
    scripts "Common" (such as digits and punctuation), "Inherited" (such as combining marks) and "Unknown".
    """
    if is_bytes(form):
        return BYTES
    text = form.removeprefix(WORD_START) or form
    return Counter(map(_character_script, text)).most_common(1)[0][0] if text else _UNKNOWN


@cache
def _character_script(character: str) -> str:
    if found := _SCRIPT.match(character):
        return _name(found)
    return next((name for name, pattern in _WITHOUT.items() if pattern.match(character)), _UNKNOWN)


def _name(found: "regex.Match[str]") -> str:
    return OTHER if found.lastgroup == "other" else str(found.lastgroup).replace("_", " ")


def length(form: str) -> int:
    """The number of characters in a canonical form. A word-start mark is not counted, a byte is one character."""
    return form.count("<0x") if is_bytes(form) else len(form.removeprefix("▁"))
