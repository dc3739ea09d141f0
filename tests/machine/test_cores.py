"""The cores that a process may use, under affinity masks and containers' quotas."""

import os

import pytest
from commands import run_python
from control_group_files import write_groups
from sentencepiece import SentencePieceProcessor

from focus_plugin.cores import available_cores, limit_threads
from focus_plugin.vocabulary.tokenizers import processor_tokenizer


@pytest.fixture
def _machine_of_64_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


GROUP = "cpu,cpuacct__docker__1__cpu.cfs_"
V1 = "7:memory:/a\n4:cpu,cpuacct:/docker/1\n"


@pytest.mark.usefixtures("_machine_of_64_cores")
@pytest.mark.parametrize(
    ("cgroup", "files", "cores"),
    [
        ("0::/\n", {"cpu_dot_max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu_dot_max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu_dot_max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu_dot_max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu_dot_max": "12800000 100000\n"}, 64),
        ("0::/pod/one\n", {"pod__one__cpu_dot_max": "max 100000", "pod__cpu_dot_max": "300000 100000"}, 3),
        ("0::/pod/one\n", {"pod__one__cpu_dot_max": "200000 100000", "pod__cpu_dot_max": "300000 100000"}, 2),
        ("0::/on/the/host\n", {"cpu_dot_max": "400000 100000"}, 4),
        ("0::/\n", {"cpu_dot_max": "nonsense"}, 64),
        ("0::/\n", {}, 64),
        ("", {}, 64),
        (V1, {f"{GROUP}quota_us": "200000", f"{GROUP}period_us": "50000"}, 4),
        (V1, {"cpu__cpu.cfs_quota_us": "200000", "cpu__cpu.cfs_period_us": "100000"}, 2),
        (V1, {"cpu__cpu.cfs_quota_us": "-1", "cpu__cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_quotas_are_respected(tmp_path, cgroup, files, cores):
    assert available_cores(write_groups(tmp_path, cgroup, **files)) == cores


def test_affinity_is_respected(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8})
    assert available_cores(write_groups(tmp_path, "0::/\n", cpu_dot_max="800000 100000")) == 3


def test_systems_without_affinity_or_control_groups(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert available_cores(tmp_path) == 12


@pytest.mark.usefixtures("_machine_of_64_cores")
@pytest.mark.parametrize(
    ("quota", "chosen", "threads"),
    [("200000 100000", None, "2"), ("max 100000", None, None), ("200000 100000", "7", "7")],
)
def test_libraries_get_the_quota_unless_the_user_chose(tmp_path, monkeypatch, quota, chosen, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", chosen or "0")
    if chosen is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    limit_threads(write_groups(tmp_path, "0::/\n", cpu_dot_max=quota))
    assert os.environ.get("OMP_NUM_THREADS") == threads


CONTAINER = """
import os
import sys
from pathlib import Path

os.sched_getaffinity = lambda _: set(range(64))
files = {"/proc/self/cgroup": "0::/\\n", "/sys/fs/cgroup/cpu.max": "300000 100000\\n"}
read = Path.read_text
Path.read_text = lambda path, *options, **more: files.get(str(path)) or read(path, *options, **more)

from focus_cli.main import main

try:
    main(["inspect", "absent"])
except SystemExit:
    print("torch" in sys.modules, os.environ["OMP_NUM_THREADS"])
"""


def test_a_command_limits_the_threads_of_libraries_in_a_container(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert run_python(CONTAINER).splitlines()[-1] == "False 3"


def test_sentencepiece_uses_the_cores_that_are_available(vocabulary):
    class Counted(SentencePieceProcessor):
        def encode(self, lines, **options):
            used.append(options["num_threads"])
            return super().encode(lines, **options)

    used = []
    tokenizer = processor_tokenizer(Counted(model_file=str(vocabulary / "sentencepiece.bpe.model")))
    assert len(tokenizer.ids(["a b", "c"])) == 2
    assert used == [available_cores()]


def test_this_machine():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
