"""Files that several test modules read, made once a session."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from export_models import train_sentencepiece, write_small_export
from sources import write_fairseq, write_hugging_face, write_text

from focus_plugin.jobs.vocabulary import make_vocabulary
from focus_plugin.text import Text

if TYPE_CHECKING:
    from fairseq_models import World

ROOT = Path(__file__).parent.parent
FOLDERS = {"focus_plugin": "focus_plugin", "focus_cli": "cli", "focus_export": "export"}


def pytest_sessionstart() -> None:
    """Stop unless the installed packages, which the tests run, are those of the working tree."""
    for package, folder in FOLDERS.items():
        spec = importlib.util.find_spec(package)
        installed = Path(spec.origin).parent if spec and spec.origin else Path()
        for path in (ROOT / folder).rglob("*.py"):
            copy = installed / path.relative_to(ROOT / folder)
            if not copy.is_file() or copy.read_bytes() != path.read_bytes():
                pytest.exit(
                    f"{path} is not what is installed; run ./scripts/setup, or once ./scripts/setup --editable.", 3
                )


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither see nor fill the user's cache; subprocesses inherit this."""
    os.environ["FOCUS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of tensors so small are slower on several threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "World":
    """A small source model and text, for each test module its own."""
    from fairseq_models import make_world  # which imports fairseq

    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="session")
def source_text(directory: Path) -> Path:
    return write_text(directory / "source.txt", lines=3000, seed=1)


@pytest.fixture(scope="session")
def target_text(directory: Path) -> Path:
    return write_text(directory / "target.txt", lines=3000, seed=2)


@pytest.fixture(scope="session")
def hugging_face(directory: Path, source_text: Path) -> Path:
    return write_hugging_face(directory / "xlmr.hf", source_text)


@pytest.fixture(scope="session")
def release(directory: Path, hugging_face: Path) -> Path:
    return write_fairseq(directory / "xlmr.fairseq", hugging_face)


@pytest.fixture(scope="session")
def classifier(directory: Path, release: Path) -> Path:
    """The same encoder with a random classification head."""
    output = Path(shutil.copytree(release, directory / "classifier"))
    state = torch.load(output / "model.pt")
    draw = torch.Generator().manual_seed(5)
    for part, rows in (("dense", 32), ("out_proj", 3)):
        state["model"][f"classification_heads.classification.{part}.weight"] = torch.randn(rows, 32, generator=draw)
        state["model"][f"classification_heads.classification.{part}.bias"] = torch.randn(rows, generator=draw)
    torch.save(state, output / "model.pt")
    (output / "labels.txt").write_text("health\nsport\nworld news\n")
    return output


@pytest.fixture(scope="session")
def vocabulary(directory: Path, target_text: Path) -> Path:
    make_vocabulary(Text.of(target_text), 500, directory / "target.vocab")
    return directory / "target.vocab"


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple]:
    """The export directory of each head, its transformers model and its tokenizer."""
    root = tmp_path_factory.mktemp("exports")
    spm = train_sentencepiece(root)
    return {head: (root / head, *write_small_export(root / head, head, spm)) for head in ("mood", "mean", "first")}
