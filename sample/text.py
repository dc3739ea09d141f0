"""Small helpers shared by the languages."""


def join(*parts: str) -> str:
    """The non-empty parts with single spaces between them."""
    return " ".join(part for part in parts if part)


def finish(text: str, end: str = ".") -> str:
    """A sentence: first letter in capitals, final punctuation mark."""
    return text[0].upper() + text[1:] + end
