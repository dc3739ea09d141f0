"""Canonical forms of tokens, by which the tokens of different kinds of tokenizers can be compared.

A canonical form is the text of a token in which every space is written as ``▁``. A ``▁`` at the beginning means that
the token starts a word. Bytes that are not whole characters are written as in SentencePiece's byte fallback, such as
``<0xC3>``. The authors' package instead removes white space at the beginning of a token's text and decodes every
incomplete byte to U+FFFD. There ``▁▁`` equals ``▁``, a tab equals a line end, and all incomplete bytes are equal; here
they are all different.
"""

import re
import string
from collections.abc import Callable
from functools import cache

WORD_START = "▁"
_BYTES = re.compile(rf"{WORD_START}?(<0x[0-9A-F]{{2}}>)+")


def plain_form(token: str) -> str:
    """The canonical form of a token that is written as text, such as a SentencePiece piece."""
    return token.replace(" ", WORD_START)


def byte_level_form(token: str) -> str:
    """The canonical form of a byte-level BPE token: its bytes, decoded as UTF-8.

    Bytes that are not whole characters are written like ``<0xC3>``, which equals no text.
    """
    if not all(character in _byte_of_character() for character in token):
        return plain_form(token)
    raw = bytes(_byte_of_character()[character] for character in token)
    try:
        return plain_form(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw)


def wordpiece_form(token: str, continuation: str = "##") -> str:
    """The canonical form of a WordPiece token. A token that does not begin with ``continuation`` starts a word."""
    return token[len(continuation) :] if token.startswith(continuation) else WORD_START + token


def ending_form(token: str, end: str, form: Callable[[str], str]) -> str:
    """The canonical form of a token whose tokenizer marks the ends of words by ``end``; ``form``: that of the rest."""
    return form(token.removesuffix(end)) + WORD_START if token.endswith(end) else form(token)


def is_bytes(form: str) -> bool:
    """Whether a canonical form consists of bytes that are not whole characters."""
    return _BYTES.fullmatch(form) is not None


def token_text(form: str) -> str:
    """The text of a token without white space at its ends; empty for incomplete bytes. ``form``: its canonical form."""
    return "" if is_bytes(form) else form.replace(WORD_START, " ").strip()


def byte_characters(form: str) -> str:
    """The bytes of a canonical form's text in GPT-2's alphabet, as byte-level tokenizers write tokens."""
    if is_bytes(form):
        start = b" " if form.startswith(WORD_START) else b""
        raw = start + bytes.fromhex("".join(re.findall(r"<0x(..)>", form)))
    else:
        raw = form.replace(WORD_START, " ").encode()
    alphabet = byte_alphabet()
    return "".join(alphabet[byte] for byte in raw)


def fuzzy_form(form: str) -> str:
    """A canonical form in lower case, without word-start mark and without white space at the beginning."""
    return form.replace(WORD_START, " ").lstrip().lower()


def is_symbol(form: str) -> bool:
    """Whether a canonical form is a number, ASCII punctuation or white space, as defined by the authors' package."""
    text = fuzzy_form(form)
    return text.isnumeric() or all(character in string.punctuation for character in text)


@cache
def byte_alphabet() -> tuple[str, ...]:
    """GPT-2's character of each byte: a printable Latin-1 byte is itself; the others are characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return tuple(characters[byte] for byte in range(256))


@cache
def _byte_of_character() -> dict[str, int]:
    return {character: byte for byte, character in enumerate(byte_alphabet())}
