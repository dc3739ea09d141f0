"""The steps of ``scripts/gpu``, as far as they go on a CPU."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_results import Job, Place, add, read, table, tables

ROOT = Path(__file__).parents[2]


def step(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts" / "gpu", *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpu")


def test_checks_hold_and_are_not_repeated(output):
    jobs = ("conversions", "exports", "kernels")  # the others take minutes: they train
    done = step("check", "--small", "--output", output, *jobs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conversion by focus" in done.stdout
    assert "embeddings by the export in fp16" in done.stdout
    assert "kernels: not on this machine" in done.stderr
    again = step("check", "--small", "--output", output, *jobs)
    assert again.stdout == done.stdout
    assert again.stderr.count("was done") == 2


def test_measurements_give_tables(output):
    done = step("measure", "--small", "--output", output, "peak", "training-ours-512")
    assert done.returncode == 0, done.stdout + done.stderr
    found = read(Place(output))
    assert found["peak"][0]["teraflops"] > 0
    assert found["training-ours-512"][0]["tokens a second"] > 0
    assert step("tables", "--output", output).stdout.endswith(done.stdout)


def test_a_check_that_does_not_hold_is_an_error(tmp_path):
    wrong = {"check": "conversion", "found": 0.5, "limit": 1e-5, "holds": False}
    add(Place(tmp_path), Job("conversions", "Checks", list), [wrong])
    done = step("check", "--output", tmp_path, "conversions")
    assert done.returncode == 1
    assert "| conversion | 0.50 | 1e-05 | **no** |" in done.stdout
    assert done.stderr.splitlines()[-1] == "Not finished: none. Wrong: conversions."


def test_a_job_without_time_left_is_no_result(tmp_path):
    done = step("measure", "--small", "--output", tmp_path, "--minutes", "0", "serving-texts")
    assert done.returncode == 1
    assert "no time is left" in done.stderr
    assert read(Place(tmp_path)) == {}


def test_tables_of_columns(tmp_path):
    job = Job("grid", "Speed", list, ("shape", "system", "result"))
    rows = [{"shape": shape, "system": system, "result": shape + system} for shape in "ab" for system in "xy"]
    assert list(tables([job], {"grid": rows[:3]})) == [
        "**Speed**\n\n| shape | x | y |\n| --- | --- | --- |\n| a | ax | ay |\n| b | bx |  |\n"
    ]
    assert table([{"n": 1234, "r": 123.4}]).splitlines() == ["| n | r |", "| ---: | ---: |", "| 1,234 | 123 |"]


def test_parts_are_checked_and_may_come_one_by_one(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    program = shutil.copy(ROOT / "benchmarks" / "gpu_packages.py", tmp_path / "benchmarks")
    carried = tmp_path / "carried"
    carried.mkdir()
    names = ("packages.tar.00", "packages.tar.01")
    lines = (f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names)
    (carried / "SHA256SUMS").write_text("".join(lines))

    def install() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, program, "install", carried], capture_output=True, text=True, check=False
        )

    (carried / names[0]).write_text(names[0])
    done = install()
    assert done.returncode == 0
    assert "1 of 2 parts" in done.stderr
    assert "Still missing, for the next call: packages.tar.01" in done.stderr
    (carried / names[0]).unlink()
    (carried / names[1]).write_text("damaged")
    refused = install()
    assert refused.returncode == 1
    assert "packages.tar.01 is not what SHA256SUMS says" in refused.stderr
