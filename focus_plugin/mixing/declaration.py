"""How a method declares itself, and what it is given when it runs.

A method is one file in ``focus_plugin/methods``, an entry point of another package or a file that the user names. Its
``METHOD`` is read for ``--help`` and for fairseq's options, so importing the file must import neither torch nor numpy.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_plugin.files import Progress, existing_file, silent

if TYPE_CHECKING:
    from torch import Tensor

    from focus_plugin.auxiliary.alignment import TokenVectors
    from focus_plugin.checkpoint.checkpoint import Checkpoint
    from focus_plugin.mixing.mixing import Mixing
    from focus_plugin.mixing.rows import Rows
    from focus_plugin.vocabulary.tokenizers import Tokenizer
    from focus_plugin.vocabulary.vocabulary import Vocabulary


class Need(Enum):
    """What a method can ask for. The value is the name of the field of ``Given`` that is then set."""

    VECTORS = "vectors"
    EMBEDDING = "embedding"
    OUTPUT_EMBEDDING = "output_embedding"
    BIAS = "bias"
    MODEL = "model"
    SOURCE_TOKENIZER = "source_tokenizer"
    TARGET_TOKENIZER = "target_tokenizer"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The options of a method that has none."""


def _no_packages(options: Any) -> tuple[str, ...]:
    return ()


def _itself(path: Path) -> list[Path]:
    return [existing_file(path)]


@dataclass(frozen=True, kw_only=True)
class MethodFile:
    """A file that a method reads.

    name: its key in ``Given.files``, and with dashes its option on the command line. help: one sentence. read: a
    function from the path to what the method is given; it raises FocusError for a damaged file. required: whether the
    user has to name a file; if not required and not named, the method is given None. parts: a function from the path to
    the files that determine what is read, for a path that can be a directory. text: whether it is text, which can be
    several files or a pattern; ``read`` then gets a :class:`focus_plugin.text.Text` instead of a path.
    """

    name: str
    help: str
    read: Callable[[Any], Any]
    required: bool = True
    parts: Callable[[Path], list[Path]] = _itself
    text: bool = False


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a method is given.

    source, target: the two vocabularies. With ``--extend`` the target is the vocabulary of the language alone; the
    caller moves the rows to their places in the extended vocabulary. options: an instance of the dataclass that the
    method declares. files: what was read from each of its files, by name. seed: the random seed. device: where to
    compute, as torch names it. progress: to be called with the number of target tokens done since the last call. tell:
    to be called with a sentence that the user should read, such as what was left out of a file; it is also kept in the
    output.

    The other fields are None unless the method needs them. vectors: static vectors of the target's tokens. embedding:
    the source's input embeddings, shape (source, width), float32. output_embedding: likewise of the masked-LM head,
    None if it is tied to the input embeddings. bias: (source,), the bias of the head. model: the source encoder.
    source_tokenizer, target_tokenizer: the tokenizers of the two vocabularies. text: lines of the target language, or a
    sample of them if the text is large; it can be iterated over more than once.
    """

    source: "Vocabulary"
    target: "Vocabulary"
    options: Any = NoOptions()
    files: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1
    device: str = "cpu"
    progress: Progress = silent
    tell: Callable[[str], object] = lambda sentence: None
    vectors: "TokenVectors | None" = None
    embedding: "Tensor | None" = None
    output_embedding: "Tensor | None" = None
    bias: "Tensor | None" = None
    model: "Checkpoint | None" = None
    source_tokenizer: "Tokenizer | None" = None
    target_tokenizer: "Tokenizer | None" = None
    text: Iterable[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to make the rows of a target vocabulary.

    name: what ``--method`` takes. summary: one sentence. paper: where it was published, or empty. make: the method
    itself. options: a frozen dataclass whose fields are made by ``focus_plugin.options.option``. files: the files that
    it reads. needs: what it has to be given. published: the values of its own options and of the conversion's that
    reproduce the software of the method's authors; ``--paper`` applies them. packages: a function from the options to
    the modules whose versions determine the result, besides those of every conversion.
    """

    name: str
    summary: str
    make: "Callable[[Given], Mixing | Rows]"
    paper: str = ""
    options: type = NoOptions
    files: tuple[MethodFile, ...] = ()
    needs: tuple[Need, ...] = ()
    published: Mapping[str, Any] = field(default_factory=dict)
    packages: Callable[[Any], tuple[str, ...]] = _no_packages
