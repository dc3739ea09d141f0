"""The files by which Linux tells a process of its control group."""

from pathlib import Path


def write_groups(root: Path, cgroup: str, **files: str) -> Path:
    """Write files of ``/proc`` and ``/sys/fs/cgroup``. In their names ``__`` stands for / and ``_dot_`` for a dot."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root
