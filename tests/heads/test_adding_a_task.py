"""The page on adding a task: its example, put where the page says, in every way it can be used."""

import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.models.roberta import XLMRModel
from fairseq_models import World, make_world
from scipy.stats import spearmanr
from transformers import AutoModelForSequenceClassification, AutoTokenizer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-task.md").read_text(encoding="utf-8")
PACKAGES = {"focus_plugin": "focus_plugin", "focus_cli": "cli", "focus_export": "export"}
FOLDERS = {"focus_plugin": "focus_plugin", "export": "focus_export"}


@dataclass(frozen=True)
class Place:
    """site: comes first among the places where Python looks for packages. world: models, and tables in its root."""

    site: Path
    world: World

    def run(self, words: Sequence[object], check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the root, with the packages of the site."""
        program = f"import sys\nsys.path.insert(0, {str(self.site)!r})\nfrom focus_cli.main import main\nmain()"
        environment = {"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(self.site), "NO_COLOR": "1"}
        command = [sys.executable, "-c", program, *map(str, words[1:])]
        done = subprocess.run(command, cwd=self.world.root, capture_output=True, text=True, env=environment)
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done


def _files() -> dict[str, str]:
    """The two files of the page, by their place in the repository."""
    found = re.findall(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in found] == ["focus_plugin/heads/rating.py", "export/heads/rating.py"]
    return dict(found)


def _texts(world: World) -> list[str]:
    return world.train.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A copy of the packages with the two files, and tables of texts rated by their first letter."""
    root = tmp_path_factory.mktemp("rating")
    for package, folder in PACKAGES.items():
        shutil.copytree(ROOT / folder, root / "site" / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in _files().items():
        folder, _, rest = name.partition("/")
        (root / "site" / FOLDERS[folder] / rest).write_text(content, encoding="utf-8")
    world = make_world(root)
    draw = random.Random(3)
    rows = [f"{(ord(text[0]) - ord('M')) / 4 + draw.gauss(0, 0.1):.3f}\t{text}\n" for text in _texts(world)]
    (root / "train.tsv").write_text("rating\ttext\n" + "".join(rows[:450]), encoding="utf-8")
    (root / "valid.tsv").write_text("rating\ttext\n" + "".join(rows[450:]), encoding="utf-8")
    (root / "texts.txt").write_text("".join(row.split("\t")[1] for row in rows[450:]), encoding="utf-8")
    shutil.copytree(world.source, root / "sw.lapt")
    return Place(root / "site", world)


@pytest.fixture(scope="module")
def used(place: Place) -> Path:
    """The root after the commands of the page, as they are but for what makes the training short."""
    [block] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    short = ("--epochs", "6", "--lr", "3e-3", "--cpu", "--truncate")
    for line in block.splitlines():
        words = shlex.split(line)
        place.run([*words, *(short if words[1] == "finetune" else ["--truncate"] if words[1] == "predict" else [])])
    return place.world.root


def _ratings(path: Path) -> np.ndarray:
    return np.array([json.loads(line)["rating"] for line in path.read_text(encoding="utf-8").splitlines()])


def test_the_example_learns_and_serves_what_fairseq_computes(place: Place, used: Path) -> None:
    found = _ratings(used / "ratings.jsonl")
    texts = (used / "texts.txt").read_text(encoding="utf-8").splitlines()
    model = XLMRModel.from_pretrained(str(used / "sw.rating")).eval()
    with torch.inference_mode():
        want = [model.predict("rating", model.encode(text), return_logits=True).item() for text in texts]
    np.testing.assert_allclose(found, want, atol=1e-4)
    wanted = [float(row.split("\t")[0]) for row in (used / "valid.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    counts = json.loads((used / "sw.rating" / "focus.json").read_text())["counts"]
    assert counts["valid_spearman"] == pytest.approx(spearmanr(wanted, found)[0], abs=1e-3)
    assert counts["valid_spearman"] > 0.8


def test_the_example_is_told_where_tasks_are(place: Place) -> None:
    assert "rating" in place.run(["focus", "finetune", "--help"]).stdout
    assert "--rating-column" in place.run(["focus", "finetune", "rating", "--help"]).stdout
    assert "--rating-column" in place.run(["focus", "export", "--help"]).stdout


def test_a_fault_of_its_tables_is_one_sentence(place: Place) -> None:
    (place.world.root / "wrong.tsv").write_text("rating\ttext\n1\tba\nmany\tbe\n")
    tables = ("--train", "wrong.tsv", "--valid", "wrong.tsv", "--model", "sw.lapt", "--output", "o")
    done = place.run(["focus", "finetune", "rating", *tables], check=False)
    assert done.returncode == 1
    assert "Error: wrong.tsv, line 3: 'many' is not a number." in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(place.world.root.glob("o*"))


def test_the_example_is_reduced_by_its_own_metric(place: Place, used: Path) -> None:
    less = ("--precision", "int8", "--valid", "valid.tsv", "--max-loss", "0.2")
    said = place.run(["focus", "export", "--onnx", "--model", "sw.rating", *less, "--output", "int8"]).stdout
    assert "spearman as int8 0." in said
    scores = json.loads((used / "int8" / "focus.json").read_text())["counts"]["scores"]
    assert list(scores) == ["spearman", "pearson"]


def test_the_example_is_what_transformers_computes(place: Place, used: Path) -> None:
    place.run(["focus", "export", "--hf", "--model", "sw.rating", "--output", "hf"])
    model = AutoModelForSequenceClassification.from_pretrained(used / "hf").eval()
    tokenizer = AutoTokenizer.from_pretrained(used / "hf")
    texts = (used / "texts.txt").read_text(encoding="utf-8").splitlines()[:20]
    with torch.inference_mode():
        logits = model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits
    np.testing.assert_allclose(logits[:, 0], _ratings(used / "ratings.jsonl")[:20], atol=1e-4)
    assert model.config.problem_type == "regression"


@pytest.mark.parametrize("name", ["out.txt", "out.npy", "out.parquet"])
def test_the_example_is_written_in_every_format(place: Place, used: Path, name: str) -> None:
    import pyarrow.parquet

    texts = ("--input", "texts.txt", "--truncate", "--output", name)
    place.run(["focus", "predict", "--model", "sw.rating.onnx", *texts])
    want = _ratings(used / "ratings.jsonl")
    if name == "out.txt":
        found = np.loadtxt(used / name)
    elif name == "out.npy":
        found = np.load(used / name)[:, 0]
    else:
        found = pyarrow.parquet.read_table(used / name)["rating"].to_numpy()
    np.testing.assert_allclose(found, want, atol=1e-4)


def test_another_package_has_the_task_by_entry_points(used: Path, tmp_path: Path) -> None:
    """The packages as they are, and beside them one with both files under names of its own: served, since training
    finds tasks in the same way."""
    for package, folder in PACKAGES.items():
        (tmp_path / package).symlink_to(ROOT / folder)
    module = tmp_path / "ratings"
    module.mkdir()
    (module / "__init__.py").touch()
    training, serving = _files().values()
    (module / "training.py").write_text(training.replace("focus_export.heads.rating", "ratings.serving"))
    (module / "serving.py").write_text(serving)
    information = tmp_path / "ratings-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: ratings\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[focus_fairseq.heads]\nrating = ratings.training:HEAD\n"
        "[focus_fairseq.serving_heads]\nrating = ratings.serving:HEAD\n"
    )
    place = Place(tmp_path, World(used, used, used, used))
    assert "--rating-column" in place.run(["focus", "finetune", "rating", "--help"]).stdout
    place.run(["focus", "export", "--triton", "--model", "sw.rating.onnx", "--output", tmp_path / "triton"])
    assert (tmp_path / "triton" / "sw.rating" / "1" / "served_head.py").read_text() == serving
    files = ("--input", "texts.txt", "--truncate", "--output", tmp_path / "out.jsonl")
    place.run(["focus", "predict", "--model", "sw.rating.onnx", *files])
    assert (tmp_path / "out.jsonl").read_bytes() == (used / "ratings.jsonl").read_bytes()
