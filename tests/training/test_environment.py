"""fairseq's commands in an environment that is known, whatever a user's holds."""

import ast
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fairseq
import fairseq_cli
import pytest

from focus_plugin.errors import FocusError
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


ALONE = """
import os, signal, sys
from pathlib import Path
from focus_plugin.training.process import run_logged
for line in run_logged(["sh", "-c", "echo first; sleep 1; echo second; printf third"], Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_log_is_complete_even_if_only_its_reader_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier run\n")
    killed = subprocess.run([sys.executable, "-c", ALONE, str(log)])
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while "third" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.read_text() == "of an earlier run\nfirst\nsecond\nthird"


@pytest.mark.parametrize("kept", [True, False])
def test_output_is_given_line_by_line_and_its_end_in_errors(tmp_path: Path, kept: bool) -> None:
    found = run_logged(
        ["sh", "-c", "echo one; echo two >&2; printf 'thr\\377'; exit 3"], tmp_path / "log" if kept else None
    )
    assert [next(found), next(found), next(found)] == ["one", "two", "thr\ufffd"]
    with pytest.raises(FocusError, match="sh failed; .* its end is:\none\ntwo\nthr" if kept else "its log is:\none"):
        next(found)
