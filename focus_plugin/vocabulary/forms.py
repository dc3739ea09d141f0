"""Canonical forms: tokens written alike whatever kind of tokenizer they come from.

A canonical form is the text of a token with every space written ``▁``, so a leading ``▁`` says that a word starts
there. Bytes that are not whole characters are written as SentencePiece's byte fallback writes them, ``<0xC3>``.
The authors' package strips white space from the left of a token's text and decodes every incomplete byte to U+FFFD,
so that to it ``▁▁`` is ``▁``, a tab is a line end and any incomplete byte any other; here each is itself.
"""

import re
import string
from functools import cache

WORD_START = "▁"
_BYTES = re.compile(rf"{WORD_START}?(<0x[0-9A-F]{{2}}>)+")


def plain_form(token: str) -> str:
    """The canonical form of a token that is text already, as SentencePiece's are."""
    return token.replace(" ", WORD_START)


def byte_level_form(token: str) -> str:
    """The canonical form of a byte-level BPE token: bytes decoded.

    A token whose bytes are not whole UTF-8 characters gets them as ``<0xC3>``, which matches no text.
    """
    if not all(character in _byte_of_character() for character in token):
        return plain_form(token)
    raw = bytes(_byte_of_character()[character] for character in token)
    try:
        return plain_form(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw)


def wordpiece_form(token: str, continuation: str = "##") -> str:
    """The canonical form of a WordPiece token: without ``continuation`` before it, it starts a word."""
    return token[len(continuation) :] if token.startswith(continuation) else WORD_START + token


def is_bytes(form: str) -> bool:
    """Whether a canonical form is bytes that are no whole characters, and so no text."""
    return _BYTES.fullmatch(form) is not None


def fuzzy_form(form: str) -> str:
    """What is left of a canonical form without case, word start and white space before the text."""
    return form.replace(WORD_START, " ").lstrip().lower()


def is_symbol(form: str) -> bool:
    """Whether a canonical form is a number, ASCII punctuation or white space, as the authors' package has it."""
    text = fuzzy_form(form)
    return text.isnumeric() or all(character in string.punctuation for character in text)


@cache
def _byte_of_character() -> dict[str, int]:
    """The GPT-2 alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
