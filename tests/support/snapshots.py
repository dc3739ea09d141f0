"""Whether a command has changed anything in a directory."""

from pathlib import Path


def snapshot(directory: Path) -> dict[Path, tuple[int, int]]:
    """Every file below ``directory`` with its size and time."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in directory.rglob("*")}
