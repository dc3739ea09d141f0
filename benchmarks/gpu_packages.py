"""The packages that `scripts/gpu` needs on a machine without network: collecting them, and installing them there.

    scripts/gpu wheels DIR [--python 3.12] [--there FILE]
    scripts/gpu install DIR

`wheels` downloads, for that version of Python on Linux, what fairseq, transformers and the exports need in the versions
of this environment, onnxruntime-gpu, and optimum with the older transformers that it asks for. It leaves out PyTorch
and all packages named in FILE, one a line: those that the other machine has. DIR then has parts of at most PART bytes
of one archive, and SHA256SUMS. `install` copies the parts that it finds in DIR to .gpu and says which are missing. With
all of them it makes two virtual environments there, which also see the packages of the Python that makes them. It needs
only the standard library, and pip; `wheels` also packaging.
"""

import argparse
import hashlib
import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import tempfile
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = ROOT / ".gpu"
PART = 48_000_000
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (34, 31, 28, 27, 26, 24, 17, 12, 5)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
GROUPS = {  # folders of the archive
    "packages": ("onnxruntime-gpu==1.31.1", "flatbuffers", "accelerate", "psutil"),
    "sources": ("fairseq-fixed==0.12.3.1", "antlr4-python3-runtime==4.9.3"),
    "peers": ("optimum==2.1.0", "optimum-onnx==0.1.0", "transformers==4.57.6", "tokenizers==0.22.2", "requests"),
}
PEERS_TOO = ("huggingface-hub==0.36.2", "certifi", "charset-normalizer", "idna", "urllib3")
ROOTS = ("fairseq-fixed", "transformers", "onnx", "ml-dtypes", "protobuf", "scikit-learn", "sentencepiece", "entmax")
TORCH = ("torch", "torchaudio")
FOLDERS = {"focus_plugin": "focus_plugin", "focus_cli": "cli", "focus_export": "export"}
PURELIB = "import sysconfig; print(sysconfig.get_path('purelib'))"
SUMS, ARCHIVE = "SHA256SUMS", "packages.tar"


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"[gpu] {text}", file=sys.stderr, flush=True)


def plain(name: str) -> str:
    """A package's name as the index has it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def needed(names: tuple[str, ...]) -> dict[str, str]:
    """The versions of ``names`` in this environment and of all that they need, except PyTorch."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    waiting = [plain(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found or name in TORCH:
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = installed.version
        wanted = map(Requirement, installed.requires or [])
        waiting += [plain(each.name) for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def download(directory: Path, wanted: list[str], *options: str) -> None:
    """Download ``wanted``, without what they need in turn, to a new directory."""
    directory.mkdir()
    if not wanted:
        return
    say(f"{directory.name}: {', '.join(wanted)}")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
    subprocess.run([*command, *options, "--dest", directory, *wanted], check=True)


def wheels(directory: Path, python: str, there: set[str]) -> None:
    """Make ``directory`` with the parts, unless they are there."""
    if (directory / SUMS).exists():
        say(f"{directory} is complete.")
        return
    directory.mkdir(parents=True, exist_ok=True)
    versions = needed(ROOTS)
    from_source = {plain(each.partition("==")[0]) for each in GROUPS["sources"]}
    listed = [f"{name}=={version}" for name, version in versions.items() if name not in from_source]
    groups = {**GROUPS, "packages": (*GROUPS["packages"], *listed), "peers": (*GROUPS["peers"], *PEERS_TOO)}
    foreign = [f"--python-version={python}", "--only-binary=:all:", *(f"--platform={each}" for each in PLATFORMS)]
    with tempfile.TemporaryDirectory(dir=directory) as beside:
        for group, wanted in groups.items():
            options = ["--no-build-isolation", "--no-binary=:all:"] if group == "sources" else foreign
            pinned = group == "peers"  # its versions differ from those that the machine has
            missing = [each for each in wanted if (pinned and "==" in each) or plain(each.split("==")[0]) not in there]
            download(Path(beside) / group, missing, *options)
        with tarfile.open(Path(beside) / ARCHIVE, "w") as archive:
            for group in groups:
                archive.add(Path(beside) / group, group)
        lines = []
        with open(Path(beside) / ARCHIVE, "rb") as file:
            for number, part in enumerate(iter(lambda: file.read(PART), b"")):
                name = f"{ARCHIVE}.{number:02}"
                (directory / name).write_bytes(part)
                lines.append(f"{hashlib.sha256(part).hexdigest()}  {name}\n")
    (directory / SUMS).write_text("".join(lines))
    say(f"{directory}: {len(lines)} parts, of which one command carries any number; SHA256SUMS goes with each.")


def digest(path: Path) -> str:
    """The SHA-256 of a file; empty if it is not there."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def take(directory: Path) -> list[str]:
    """Copy the parts in ``directory`` to .gpu/parts, checked; the names of those that are still missing."""
    parts = HERE / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    lines = [line.split() for line in (directory / SUMS).read_text().splitlines()]
    missing = []
    for wanted, name in lines:
        if digest(parts / name) == wanted:
            continue
        if not (directory / name).exists():
            missing.append(name)
        elif digest(directory / name) == wanted:
            shutil.copy(directory / name, parts / name)
        else:
            raise SystemExit(f"{directory / name} is not what {SUMS} says; copy it again.")
    say(f"{len(lines) - len(missing)} of {len(lines)} parts are in {parts}.")
    return missing


def unpack(directory: Path) -> None:
    """The archive of all parts."""
    joined = HERE / ARCHIVE
    with open(joined, "wb") as file:
        for part in sorted((HERE / "parts").iterdir()):
            file.write(part.read_bytes())
    with tarfile.open(joined) as archive:
        archive.extractall(directory, filter="data")
    joined.unlink()


def environment(directory: Path, *above: str) -> Path:
    """Make a virtual environment that also sees the packages in the directories ``above``; its own directory of them.

    CUDA's libraries, which onnxruntime-gpu looks for beside itself, are linked there.
    """
    venv.create(directory, clear=True, with_pip=False)
    told = subprocess.check_output([directory / "bin" / "python", "-c", PURELIB], text=True)
    packages = Path(told.strip())
    (packages / "above.pth").write_text("".join(f"{path}\n" for path in above))
    for path in above:
        if (Path(path) / "nvidia").is_dir():
            (packages / "nvidia").symlink_to(Path(path) / "nvidia")
    return packages


def install(directory: Path) -> None:
    """Take what is in ``directory`` and, if nothing is missing, make the environments."""
    if (HERE / "venv" / "ready").exists():
        say(f"{HERE} is complete.")
        return
    if missing := take(directory):
        say(f"Still missing, for the next call: {', '.join(missing)}")
        return
    files = HERE / "files"
    unpack(files)
    above = site.getsitepackages()
    without_cuda = {key: value for key, value in os.environ.items() if key != "CUDA_HOME"}  # for fairseq's build
    options = ["--no-index", "--no-deps", "--no-build-isolation"]
    packages, sources, peers = (sorted((files / group).iterdir()) for group in GROUPS)
    for name, steps in {"peers": (packages, peers), "venv": (packages, sources, [ROOT])}.items():
        say(f"the environment {name}")
        own = environment(HERE / name, *above)
        pip: list[str | Path] = [
            HERE / name / "bin" / "python",
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "-q",
        ]
        for wanted in filter(None, steps):
            subprocess.run([*pip, *options, *wanted], check=True, env=without_cuda)
    for package, folder in FOLDERS.items():  # so that a later change in the working tree needs no installation
        shutil.rmtree(own / package)
        (own / package).symlink_to(ROOT / folder)
    (HERE / "venv" / "ready").touch()
    say(f"{HERE} is complete.")


def main() -> None:
    """One of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("wheels", "install"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--python", default="3.12", help="the version of Python of the other machine")
    parser.add_argument("--there", type=Path, help="names of packages that the other machine has, one a line")
    given = parser.parse_args()
    if given.step == "install":
        install(given.directory)
    else:
        there = set(map(plain, given.there.read_text().splitlines())) if given.there else set()
        wheels(given.directory, given.python, there)


if __name__ == "__main__":
    main()
