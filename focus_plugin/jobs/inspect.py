"""Describes the content of directories, and the texts that files have in common."""

from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.jobs.inspect_options import ComparedTexts
from focus_plugin.leakage import LEAKAGE, cells_of, leakage, leakage_warnings, lines_of
from focus_plugin.manifest import FILE, UNFINISHED, Manifest, read_manifest
from focus_plugin.text import Text
from focus_plugin.training.resume import unfinished_state

TABLES = ("train", "valid", "test")


def describe_directory(directory: Path) -> list[str]:
    """Lines on the kind of ``directory``, its figures, options, inputs and versions.

    Directories that this program did not write are read as checkpoints. Raises FocusError for anything else.
    """
    if not directory.is_dir():
        raise FocusError(f"{directory}: no such directory.")
    manifest = read_manifest(directory)
    return _described(directory, manifest) if manifest else _foreign(directory)


def compare_texts(options: ComparedTexts) -> list[str]:
    """A line for each of ``valid`` and ``test``: how many of its texts are also in ``train``, and where.

    Raises FocusError for a file that is no text or lacks the column.
    """
    texts = {name: Text.of(*files) for name in TABLES if (files := getattr(options, name))}
    column = options.text_column
    located = {name: cells_of(text, column) if column else lines_of(text) for name, text in texts.items()}
    found = leakage(located.pop("train"), located)
    return [
        entry.sentence(name) if entry.shared else f"{name}: none of its {entry.texts:,} texts is in train."
        for name, entry in found.items()
    ]


def _described(directory: Path, manifest: Manifest) -> list[str]:
    state = f", {unfinished_state(directory, manifest).value}" if directory.name.endswith(UNFINISHED) else ""
    lines = [f"{directory}: {manifest.kind}{state}"]
    figures = {name: value for name, value in manifest.counts.items() if name != LEAKAGE}
    sections = {
        "figures": figures,
        "options": manifest.options,
        "made from": {name: f"sha256 {digest}" for name, digest in manifest.inputs.items()},
        "made with": manifest.made_by,
    }
    try:
        warned = [f"  Warning: {sentence}" for sentence in leakage_warnings(manifest.counts.get(LEAKAGE, {}))]
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FocusError(f"{directory / FILE}: its entry {LEAKAGE} is damaged ({error}).") from error
    for title, values in sections.items():
        lines += [f"  {title}:", *(f"    {name}: {value}" for name, value in values.items())] if values else []
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sizes = {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}
    gone = [f"    {name}: gone" for name in manifest.files if name not in sizes]
    gone += [
        f"    {name}: was changed, it had {size:,} bytes"
        for name, size in manifest.files.items()
        if sizes.get(name, size) != size
    ]
    return [*lines, "  files:", *(f"    {name}: {size:,} bytes" for name, size in sizes.items()), *gone, *warned]


def _foreign(directory: Path) -> list[str]:
    from focus_plugin.checkpoint.read import read_checkpoint

    checkpoint = read_checkpoint(directory)
    config = checkpoint.config
    heads = sorted({".".join(name.split(".")[:2]) for name in checkpoint.task_heads})
    return [
        f"{directory}: encoder checkpoint not made by this program",
        f"  layers: {config.layers}, width: {config.width}, feed-forward: {config.feedforward}, attention heads: "
        f"{config.attention_heads}",
        f"  longest input: {config.max_positions} tokens",
        f"  vocabulary: {len(checkpoint.vocabulary)} tokens",
        f"  task heads: {', '.join(heads) or 'none'}",
    ]
