"""The options of a conversion, declared once for ``focus convert`` and for the fairseq plugin."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from focus_plugin.auxiliary.options import ReadingOptions, VectorOptions, require_effect
from focus_plugin.discovery import Found
from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Method, Need
from focus_plugin.options import Option, build, declared, option
from focus_plugin.text import Text

DEFAULT_METHOD = "focus"
_VECTORS = ("auxiliary", "word_vectors")


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """What ``focus convert`` converts. The plugin takes the vocabulary from fairseq's data directory instead."""

    source: Path = option(help="XLM-R, RoBERTa or CamemBERT: a directory, or NAME[@REVISION] on the Hugging Face Hub.")
    vocabulary: Path = option(flag="vocab", help="Directory made by focus vocab.")
    extend: bool = option(False, help="Keep the source's vocabulary and append the tokens of --vocab that it lacks.")


@dataclass(frozen=True, kw_only=True)
class InitializationOptions:
    """The options of every initialization, whatever its method. A method that needs auxiliary embeddings gets them from
    ``auxiliary`` or ``word_vectors``; without these they are trained on ``corpus``."""

    corpus: tuple[Path, ...] = option(
        (),
        help="Text of the target language, to train auxiliary embeddings on and to fit the output bias to: a file or a "
        "pattern; may be given several times.",
    )
    auxiliary: Path | None = option(
        None,
        help="Token vectors to use instead of training them: .bin or .vec of fastText, .npz, .safetensors, or the "
        "directory of an encoder with the target vocabulary.",
    )
    word_vectors: Path | None = option(
        None,
        help="Word vectors to use instead of training token vectors: .bin or .vec of fastText, such as cc.sw.300.bin.",
    )
    matrix: Path | None = option(
        None, help="Mixing matrix to apply instead of a method: mixing.safetensors of an earlier conversion."
    )
    fill: str = option(
        "normal",
        choices=("normal", "numpy", "mean"),
        help="How to fill rows that the method does not make: drawn from the normal distribution of the source's rows "
        "by PyTorch or, as in WECHSEL's software, by NumPy; or their mean.",
    )
    calibrate: int = option(16_384, minimum=0, help="Tokens of --corpus to fit the output bias on; 0: do not fit it.")
    rank_bias: bool = option(
        False, help="Keep the output bias of each id, as resizing a model does, instead of moving it with the tokens."
    )
    seed: int = option(1, minimum=0, maximum=2**31 - 1, help="Random seed.")
    device: str = option("cpu", help="Where to compute, as torch names it: cpu, cuda, cuda:1.")


@dataclass(frozen=True, kw_only=True)
class Initialization:
    """How to make new rows.

    found: the method. of_method: an instance of the dataclass of the method's options. files: the files that the method
    reads, by name.
    """

    found: Found[Method]
    of_method: Any
    files: Mapping[str, Path | Text] = field(default_factory=dict)
    options: InitializationOptions
    reading: ReadingOptions
    vectors: VectorOptions

    @property
    def method(self) -> Method:
        """The method itself."""
        return self.found.declaration


def method_options(method: Method) -> tuple[Option, ...]:
    """The options of a method: those it declares, then its files. Raises FocusError if one is a conversion's too."""
    files = (
        Option(
            name=file.name,
            flag=file.name.replace("_", "-"),
            kind=Path,
            default=None,
            required=file.required,
            many=file.text,
            help=file.help,
            choices=(),
            minimum=None,
            maximum=None,
        )
        for file in method.files
    )
    found = (*declared(method.options), *files)
    taken = {name for entry in _shared() for name in (entry.name, entry.flag)} | {"method", "paper", "output", "quiet"}
    if paths := [entry.flag for entry in declared(method.options) if entry.kind is Path]:
        raise FocusError(f"The method {method.name!r} must declare --{paths[0]} as one of its files, not as an option.")
    for i, entry in enumerate(found):
        before = {name for other in found[:i] for name in (other.name, other.flag)}
        if {entry.name, entry.flag} & (taken | before):
            raise FocusError(
                f"The method {method.name!r} declares an option --{entry.flag}, which already exists; rename it."
            )
    return found


def shared_options() -> tuple[Option, ...]:
    """The options of every initialization, whatever the method."""
    return (*declared(InitializationOptions), *declared(ReadingOptions), *declared(VectorOptions))


def initialization(
    found: Found[Method], given: Mapping[str, Any], *, paper: bool = False, prefix: str = "--"
) -> Initialization:
    """The initialization by ``found`` with the options that the user gave, by name; all others have their defaults.

    ``paper``: whether the method's published settings are the defaults. ``prefix``: the prefix of options in messages,
    as the user writes it. Raises FocusError for options that are missing or exclude each other, and if the method does
    not get what it needs.
    """
    method = found.declaration
    if paper and not method.published:
        raise FocusError(f"The method {method.name!r} declares no published settings; leave out {prefix}paper.")
    values = {**method.published, **given} if paper else given
    for entry in method_options(method):
        if entry.required and entry.name not in values and not values.get("matrix"):
            raise FocusError(f"The method {method.name!r} needs {prefix}{entry.flag}: {entry.help}")
    made = Initialization(
        found=found,
        of_method=None if values.get("matrix") else build(method.options, values),
        files={
            file.name: Text.of(*values[file.name]) if file.text else Path(values[file.name])
            for file in method.files
            if values.get(file.name)
        },
        options=build(InitializationOptions, values),
        reading=build(ReadingOptions, values),
        vectors=build(VectorOptions, values),
    )
    _require_enough(made, prefix)
    require_effect(made.vectors, given, prefix)
    return made


def trains_vectors(how: Initialization) -> bool:
    """Whether auxiliary embeddings are trained on the corpus."""
    options = how.options
    given = options.matrix or options.auxiliary or options.word_vectors
    return Need.VECTORS in how.method.needs and not given


def without_effect(method: Method, given: Mapping[str, Any], prefix: str = "--") -> str | None:
    """A sentence about the first option among ``given`` that has no effect; None if all have one.

    ``given``: the options that the user gave, by name. ``prefix``: the prefix of options in the sentence.
    """
    flags = {entry.name: entry.flag for entry in (*shared_options(), *method_options(method))}
    of_training = [entry.name for entry in declared(VectorOptions)]
    of_method = [entry.name for entry in method_options(method)]
    rules: dict[str, Collection[str]] = {}
    if given.get("matrix"):
        rules[f"{prefix}matrix"] = ("method", *of_method, *of_training)
    rules |= {f"{prefix}{flags[name]}": of_training for name in _VECTORS if given.get(name)}
    if Need.VECTORS not in method.needs:
        rules[f"{prefix}method {method.name}"] = (*_VECTORS, *of_training)
    for reason, unused in rules.items():
        if wrong := [name for name in unused if name in given]:
            return f"{prefix}{flags.get(wrong[0], wrong[0])} has no effect with {reason}; leave it out."
    if "skip_tokenizer_check" in given and not given.get("auxiliary"):
        return f"{prefix}skip-tokenizer-check has no effect without {prefix}auxiliary; leave it out."
    if given.get("calibrate") and not given.get("corpus"):
        return f"{prefix}calibrate needs {prefix}corpus, the text to fit the output bias to."
    return None


def _require_enough(made: Initialization, prefix: str) -> None:
    options, needs = made.options, made.method.needs
    given = [name for name in (*_VECTORS, "matrix") if getattr(options, name)]
    if len(given) > 1:
        flags = f"{prefix}auxiliary, {prefix}word-vectors and {prefix}matrix"
        raise FocusError(f"{flags} exclude each other; give only one of them.")
    if options.matrix:
        return
    if Need.VECTORS in needs and not (given or options.corpus):
        raise FocusError(
            f"The method {made.method.name!r} needs auxiliary embeddings: give {prefix}corpus (target text), or a file "
            f"of them as {prefix}auxiliary (of tokens) or {prefix}word-vectors (of words)."
        )
    if Need.TEXT in needs and not options.corpus:
        raise FocusError(f"The method {made.method.name!r} needs {prefix}corpus, text of the target language.")


def _shared() -> tuple[Option, ...]:
    return (*declared(ConversionOptions), *shared_options())
