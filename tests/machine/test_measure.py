"""What ``benchmarks/measure.py`` says of a command."""

from measure import run, run_beside


def test_the_memory_of_a_command_is_its_own_and_not_that_of_the_process_that_started_it():
    held = b"x" * 400_000_000
    _, peak = run("focus", "--version")
    assert 5_000_000 < peak < len(held) / 2


def test_the_disk_is_what_a_command_has_written(tmp_path, target_text):
    (tmp_path / "before").write_bytes(bytes(1_000_000))
    output = tmp_path / "vocab"
    measured = run_beside(tmp_path, "focus", "vocab", "--input", target_text, "--size", 300, "--output", output)
    size = sum(path.stat().st_size for path in output.iterdir())
    assert size <= measured.disk <= 2 * size
    assert measured.seconds > 0
