"""The two files that carry a target vocabulary from directory to directory, under the names of fairseq's release."""

from pathlib import Path

from focus_plugin.errors import FocusError

DICTIONARY = "dict.txt"
SENTENCEPIECE = "sentencepiece.bpe.model"


def vocabulary_files(directory: str | Path) -> tuple[Path, Path]:
    """``dict.txt`` and the SentencePiece model in ``directory``; FocusError if it lacks one of them."""
    directory = Path(directory)
    if not directory.is_dir():
        raise FocusError(f"{directory}: no such directory.")
    for path in (paths := (directory / DICTIONARY, directory / SENTENCEPIECE)):
        if not path.is_file():
            raise FocusError(f"{directory}: has no {path.name}; a directory made by focus vocab is needed here.")
    return paths
