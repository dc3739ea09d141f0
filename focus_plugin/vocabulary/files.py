"""The two files of a vocabulary, which every directory with an encoder or with encoded text has.

They are ``dict.txt`` and ``sentencepiece.bpe.model``, named as in fairseq's releases. A tokenizer that cannot be
converted to a SentencePiece model has ``tokenizer.json`` instead of the latter.
"""

from collections.abc import Iterable
from pathlib import Path

from focus_plugin.errors import FocusError

DICTIONARY = "dict.txt"
SENTENCEPIECE = "sentencepiece.bpe.model"
TOKENIZER_JSON = "tokenizer.json"


def vocabulary_files(directory: str | Path) -> tuple[Path, Path]:
    """``dict.txt`` and the tokenizer's file in ``directory``. Raises FocusError if one of them is missing."""
    directory = Path(directory)
    if not directory.is_dir():
        raise FocusError(f"{directory}: no such directory.")
    dictionary, tokenizer = directory / DICTIONARY, tokenizer_file(directory)
    if tokenizer is None or not dictionary.is_file():
        missing = SENTENCEPIECE if dictionary.is_file() else DICTIONARY
        published = tokenizer or next(directory.glob("*.model"), None)
        hint = f" focus vocab --tokenizer {published} makes one of the tokenizer there." if published else ""
        raise FocusError(f"{directory}: has no {missing}; expected a directory made by focus vocab.{hint}")
    return dictionary, tokenizer


def tokenizer_file(directory: Path) -> Path | None:
    """The tokenizer's file in ``directory``, if there is one: a SentencePiece model, else a ``tokenizer.json``."""
    return next((path for name in (SENTENCEPIECE, TOKENIZER_JSON) if (path := directory / name).is_file()), None)


def tokenizer_package(path: Path) -> str:
    """The Python package that runs the tokenizer in ``path``; its version can change how text is cut."""
    return "tokenizers" if path.name == TOKENIZER_JSON else "sentencepiece"


def require_storable(tokens: Iterable[str], origin: object) -> None:
    """Raise FocusError for a token that cannot be written to a ``dict.txt``, whose lines fairseq splits at white space.

    ``origin``: the user's file that the tokens are from.
    """
    for token in tokens:
        if token.split() != [token]:
            raise FocusError(
                f"{origin}: has the token {shown(token)}; fairseq's {DICTIONARY} cannot hold a token that is empty "
                "or contains white space, so this tokenizer cannot be used."
            )


def write_dictionary(path: Path, counts: Iterable[tuple[str, int]]) -> None:
    """Write tokens, which :func:`require_storable` accepts, and their counts as a fairseq ``dict.txt``."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{token} {count}\n" for token, count in counts)


def shown(token: str) -> str:
    """A token as it is shown in messages: quoted, with escapes, and cut if it is very long."""
    return repr(token) if len(token) <= 60 else f"{token[:50]!r}... of {len(token):,} characters"
