"""From text to the directory that fairseq's masked-LM task reads, with the vocabulary's files beside it."""

import shutil
from dataclasses import asdict
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import existing_file, sha256
from focus_plugin.manifest import FILE, Manifest, describe, expect_kind
from focus_plugin.outputs import make_directory
from focus_plugin.progress import Phase, no_phase
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files

KIND = "masked-LM data"
FEWEST_TOKENS = 100  # of which 15 are predicted; fairseq fails where none is


def prepare(vocabulary: Path, train: Path, valid: Path, output: Path, phase: Phase = no_phase) -> Manifest:
    """Write the data directory unless ``output`` already holds it; see ``prepare_masked_lm``."""
    from focus_plugin.masked_lm.data import prepare_masked_lm

    _refuse_colon(output)
    files = (*vocabulary_files(vocabulary), existing_file(train), existing_file(valid))
    names = ("dictionary", "tokenizer", "train", "valid")
    with phase("Reading the input", sum(path.stat().st_size for path in files)) as progress:
        inputs = {name: sha256(path, progress) for name, path in zip(names, files, strict=True)}
    manifest = describe(KIND, {}, inputs, (tokenizer_package(files[1]), "fairseq-fixed"))

    def build(directory: Path) -> dict[str, object]:
        with phase("Encoding", train.stat().st_size + valid.stat().st_size) as progress:
            counts = prepare_masked_lm(vocabulary, train, valid, directory, progress)
        shutil.copyfile(files[1], directory / files[1].name)
        return dict(zip(("train", "valid"), map(asdict, counts), strict=True))

    return make_directory(output, manifest, build)


def require_text(data: Path, *splits: str) -> None:
    """Raise FocusError unless ``data`` is what ``prepare`` writes and each of ``splits`` has text enough to predict."""
    counts = expect_kind(data, KIND).counts
    _refuse_colon(data)
    for split in splits:
        try:
            tokens = counts[split]["tokens"]
        except KeyError as error:
            raise FocusError(f"{data / FILE}: does not say how many tokens {split} has; prepare it again.") from error
        if tokens < FEWEST_TOKENS:
            raise FocusError(f"{data}: too little text in {split}: {tokens} tokens, and {FEWEST_TOKENS} are needed.")


def _refuse_colon(data: Path) -> None:
    if ":" in str(data):
        raise FocusError(f"{data}: fairseq takes a colon for the end of a path; choose a data directory without one.")
