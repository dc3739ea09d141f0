"""The script a token is written in."""

import regex

from focus_plugin.vocabulary.forms import is_bytes

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


def script(form: str) -> str:
    """The name of the script that a token is written in; ``form``: its canonical form.

    This is the Unicode script of the first character that has one, with spaces in its name. If no character has one,
    the result is BYTES, NUMBERS or SYMBOLS.
    """
    if is_bytes(form):
        return BYTES
    if found := _SCRIPT.search(form):
        return OTHER if found.lastgroup == "other" else found.lastgroup.replace("_", " ")
    return NUMBERS if any(character.isnumeric() for character in form) else SYMBOLS


def length(form: str) -> int:
    """The number of characters in a canonical form. A word-start mark is not counted, a byte is one character."""
    return form.count("<0x") if is_bytes(form) else len(form.removeprefix("▁"))
