"""The two files of a vocabulary, which every directory with an encoder or with encoded text has.

They are ``dict.txt`` and ``sentencepiece.bpe.model``, named as in fairseq's releases. A tokenizer that cannot be
converted to a SentencePiece model has ``tokenizer.json`` instead of the latter.

fairseq splits the lines of ``dict.txt`` at white space. So white space in a token is written by its code points there,
such as ``<U+0020>``, and an empty token as ``<U+>``.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from focus_plugin.errors import FocusError

DICTIONARY = "dict.txt"
SENTENCEPIECE = "sentencepiece.bpe.model"
TOKENIZER_JSON = "tokenizer.json"
CONVERSION = (
    f"transformers makes a {TOKENIZER_JSON} of other files: "
    "AutoTokenizer.from_pretrained(DIRECTORY).save_pretrained(DIRECTORY)"
)


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


def dictionary_token(token: str) -> str:
    """A tokenizer's token as it is written in a ``dict.txt``."""
    return re.sub(r"\s", lambda space: f"<U+{ord(space[0]):04X}>", token) or "<U+>"


def tokenizer_token(token: str) -> str:
    """A token of a ``dict.txt`` as the tokenizer has it, except the empty token, which keeps its name."""
    return re.sub("<U\\+([0-9A-F]{4})>", lambda name: chr(int(name[1], 16)), token)


def write_dictionary(path: Path, counts: Iterable[tuple[str, int]]) -> None:
    """Write tokens, named by :func:`dictionary_token`, and their counts as a fairseq ``dict.txt``."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{token} {count}\n" for token, count in counts)
