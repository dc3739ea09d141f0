"""Reads a checkpoint from a directory in either layout."""

from pathlib import Path

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.huggingface import CONFIG, read_huggingface, weight_files
from focus_plugin.checkpoint.release import RELEASE_MODEL, read_release
from focus_plugin.checkpoint.tokenizer_files import ADDED, SETTINGS
from focus_plugin.errors import FocusError

TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    ADDED,
    SETTINGS,
    "dict.txt",
)


def read_checkpoint(directory: str | Path) -> Checkpoint:
    """Read a fairseq release or a Hugging Face directory. Raises FocusError if it is neither, or is damaged."""
    directory = Path(directory)
    if (directory / RELEASE_MODEL).is_file():
        return read_release(directory)
    if (directory / CONFIG).is_file():
        return read_huggingface(directory)
    what = (
        "no such directory"
        if not directory.is_dir()
        else f"has neither {RELEASE_MODEL} (fairseq) nor {CONFIG} (Hugging Face)"
    )
    raise FocusError(f"{directory}: {what}; expected a directory with a released encoder.")


def require_release(directory: Path) -> None:
    """Raise FocusError unless ``directory`` has fairseq's layout, which training and export start from."""
    if not (directory / RELEASE_MODEL).is_file():
        what = f"has no {RELEASE_MODEL}" if directory.is_dir() else "no such directory"
        raise FocusError(f"{directory}: {what}; give a directory made by focus convert, train or finetune.")


def model_files(directory: Path) -> list[Path]:
    """The files of a checkpoint directory that hold the weights."""
    return [path] if (path := directory / RELEASE_MODEL).is_file() else weight_files(directory)


def checkpoint_files(directory: str | Path) -> list[Path]:
    """The files that determine the content of a checkpoint directory, for hashing."""
    directory = Path(directory)
    names = TOKENIZER_FILES if (directory / RELEASE_MODEL).is_file() else (CONFIG, *TOKENIZER_FILES)
    return [*model_files(directory), *(path for name in names if (path := directory / name).is_file())]
