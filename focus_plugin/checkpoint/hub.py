"""Finds an encoder by its name on the Hugging Face Hub."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.checkpoint.architecture import same_architecture
from focus_plugin.checkpoint.huggingface import CONFIG, weight_files
from focus_plugin.checkpoint.read import TOKENIZER_FILES
from focus_plugin.errors import FocusError
from focus_plugin.progress import Phase, no_phase
from focus_plugin.vocabulary.readers import read_json

_NAME = re.compile(r"(?P<model>(?:\w[\w.-]*/)?\w[\w.-]*)(?:@(?P<revision>\w[\w./-]*))?")
_DESCRIPTION = [CONFIG, *TOKENIZER_FILES, "*.index.json"]
_SAFETENSORS = ["model.safetensors", "model-*-of-*.safetensors"]
_PICKLES = ["pytorch_model.bin", "pytorch_model-*-of-*.bin"]


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where an encoder is. revision: ``NAME@COMMIT`` if it is from the Hub, else None."""

    directory: Path
    revision: str | None


def locate(source: Path, phase: Phase = no_phase, verbose: bool = False) -> Located:
    """The directory ``source``, or, if there is no such directory, the model ``NAME`` or ``NAME@REVISION`` on the Hub.

    The model is fetched into the Hub's own cache unless it is there already: its safetensors files, or its pickles if
    it has none. A model of another architecture is refused before its weights are fetched. ``verbose`` shows the Hub's
    progress bars. Raises FocusError if there is neither a directory nor a model that can be fetched.
    """
    named = _NAME.fullmatch(str(source))
    if source.exists() or not named:
        return Located(directory=source, revision=None)
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise FocusError(
            f"{source}: no such directory; a model of that name on the Hugging Face Hub can be used after "
            "pip install 'focus-fairseq[hub]'."
        ) from error
    model, revision = named["model"], named["revision"]
    with phase(f"Fetching {source}", 1), _as_focus_error(source, model, revision), _progress_bars(verbose):
        directory = Path(snapshot_download(model, revision=revision, allow_patterns=_DESCRIPTION))
        same_architecture(path := directory / CONFIG, read_json(path))
        for patterns in (_SAFETENSORS, _PICKLES):
            if not _has_weights(directory):
                snapshot_download(model, revision=directory.name, allow_patterns=patterns)
    if not _has_weights(directory):
        raise FocusError(f"{source}: {directory} lacks weights; the Hub has none, or they could not be fetched.")
    return Located(directory=directory, revision=f"{model}@{directory.name}")


def _has_weights(directory: Path) -> bool:
    files = weight_files(directory)
    return bool(files) and all(path.is_file() for path in files)


@contextmanager
def _as_focus_error(source: Path, model: str, revision: str | None) -> Iterator[None]:
    """Turn any exception of the Hub's client into a FocusError."""
    from huggingface_hub import constants, errors

    try:
        yield
    except FocusError:
        raise
    except errors.GatedRepoError as error:
        raise FocusError(
            f"{source}: access to this model has to be requested; do so at {constants.ENDPOINT}/{model}, then log in "
            "with hf auth login."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FocusError(f"{source}: the model has no revision {revision} on the Hugging Face Hub.") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise FocusError(
            f"{source}: no such directory, and no model of that name on the Hugging Face Hub that you may read; if it "
            "is private, log in with hf auth login."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} cannot be reached"
        raise FocusError(
            f"{source}: no such directory; {why}, and {constants.HF_HUB_CACHE} holds no model of that name."
        ) from error
    except Exception as error:  # versions of the client use different HTTP libraries, each with its own exceptions
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FocusError(f"{source}: could not be fetched from the Hugging Face Hub ({reason}).") from error


@contextmanager
def _progress_bars(shown: bool) -> Iterator[None]:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    (enable_progress_bars if shown else disable_progress_bars)()
    try:
        yield
    finally:
        (disable_progress_bars if before else enable_progress_bars)()
