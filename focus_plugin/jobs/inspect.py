"""What any directory of the chain holds, told in lines."""

from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.manifest import UNFINISHED, Manifest, read_manifest
from focus_plugin.training.resume import unfinished_state


def describe_directory(directory: Path) -> list[str]:
    """Lines on the kind of ``directory``, its figures, options, inputs and versions.

    Directories this program did not write are read as checkpoints. Raises FocusError for anything else.
    """
    if not directory.is_dir():
        raise FocusError(f"{directory}: no such directory.")
    manifest = read_manifest(directory)
    return _described(directory, manifest) if manifest else _foreign(directory)


def _described(directory: Path, manifest: Manifest) -> list[str]:
    state = f", {unfinished_state(directory, manifest).value}" if directory.name.endswith(UNFINISHED) else ""
    lines = [f"{directory}: {manifest.kind}{state}"]
    sections = {
        "figures": manifest.counts,
        "options": manifest.options,
        "made from": {name: f"sha256 {digest}" for name, digest in manifest.inputs.items()},
        "made with": manifest.made_by,
    }
    for title, values in sections.items():
        lines += [f"  {title}:", *(f"    {name}: {value}" for name, value in values.items())] if values else []
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sizes = {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}
    gone = [f"    {name}: gone" for name in manifest.files if name not in sizes]
    return [*lines, "  files:", *(f"    {name}: {size:,} bytes" for name, size in sizes.items()), *gone]


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
