"""fairseq's commands in an environment that is known, whatever a user's holds."""

import ast
from collections.abc import Iterator
from pathlib import Path

import fairseq
import fairseq_cli
import pytest

from focus_plugin.training.process import environment, run_logged

HARMLESS = {
    "CUDA_LAUNCH_BLOCKING": "named in a message only",
    "PYTORCH_FAIRSEQ_CACHE": "where files from the Internet are kept",
    "TORCH_HOME": "likewise",
    "XDG_CACHE_HOME": "likewise",
    "WANDB_NAME": "what a run is called on a site that the user chose",
    "PYTHONWARNINGS": "fairseq sets it",
}


def _variables(program: ast.Module) -> Iterator[str]:
    """The strings by which a program looks something up in os.environ, or compares with it."""
    for node in ast.walk(program):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
            yield ast.literal_eval(node.args[0])
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            yield ast.literal_eval(node.slice)
        elif isinstance(node, ast.GeneratorExp) and "os.environ" in ast.unparse(node.elt):
            yield from ast.literal_eval(node.generators[0].iter)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_every_variable_that_fairseq_reads_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    found: set[str] = set()
    for package in (fairseq, fairseq_cli):
        root = Path(package.__path__[0])
        for path in (path for path in root.rglob("*.py") if "examples" not in path.relative_to(root).parts):
            found.update(_variables(ast.parse(path.read_text(encoding="utf-8"))))
    assert {"LOGLEVEL", "RANK", "SLURM_NTASKS", "XDG_CACHE_HOME"} < found
    for name in found:
        monkeypatch.setenv(name, "1")
    assert found & set(environment()) == HARMLESS.keys() & found


def test_what_programs_need_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ("PATH", "PYTHONPATH", "HOME", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NCCL_DEBUG", "OMP_NUM_THREADS")
    for name in needed:
        monkeypatch.setenv(name, f"/{name}")
    assert {name: environment()[name] for name in needed} == {name: f"/{name}" for name in needed}


def test_commands_run_in_it_and_wait_for_no_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLEVEL", "ERROR")
    monkeypatch.setenv("KEPT", "kept")
    assert list(run_logged(["sh", "-c", 'read x; echo "$LOGLEVEL,$KEPT,$x"'], tmp_path / "log")) == [",kept,"]
