"""``focus compare`` from the command line: it trains, goes on after a kill, and names what fails."""

import json
import re
import signal
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from commands import run as run_program
from fairseq_models import World
from focus_cli.compare import command
from vocabularies import train_on

from focus_plugin.comparison.pace import pace
from focus_plugin.errors import FocusError
from focus_plugin.forecast.forecast import EndOfDryRun
from focus_plugin.jobs.evaluate import evaluate
from focus_plugin.jobs.prepare import prepare
from focus_plugin.masked_lm.options import Evaluation, TextPreparation

KILLED_BEFORE_THE_SECOND_TRAINING = """
import os, signal, sys

trainings = 0

def kill(event, arguments):
    global trainings
    if event == "subprocess.Popen" and "fairseq-train" in str(arguments[0]):
        trainings += 1
        if trainings == 2:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
from focus_cli.main import main
main()
"""
MEAN = "--method random --fill mean"
RECIPE = ("--recipe", "adapt", "--batch-tokens 512 --device-tokens 512 -- --num-workers 0")


@pytest.fixture(scope="module")
def data(world: World) -> Path:
    vocabulary, data = world.root / "target", world.root / "data"
    vocabulary.mkdir()
    train_on(world.valid, 200, vocabulary)
    prepare(TextPreparation(vocabulary=vocabulary, train=(world.train,), valid=(world.valid,)), data)
    return data


def _words(world: World, data: Path, output: Path, *more: object) -> list[str]:
    return [str(word) for word in (data, "--source", world.source, "--output", output, "--cpu", *more)]


def _compare(words: list[str]) -> Result:
    """The command in this process, which has imported everything already; fairseq-train is another process."""
    done = CliRunner().invoke(command, words)
    if done.exception:
        raise done.exception
    return done


def test_a_killed_comparison_goes_on_and_can_be_added_to(
    world: World, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    output, random, mean = tmp_path / "out", ("--start", "random", "--method random"), ("--start", "mean", MEAN)
    length = ("--updates", 6, "--seeds", "1")
    job = _words(world, data, output, *random, *mean, *RECIPE, *length)
    killed = run_program("python", "-c", KILLED_BEFORE_THE_SECOND_TRAINING, "compare", *job, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first = (output / "rows.jsonl").read_bytes()
    assert first.count(b"\n") == 1

    broken = ("--recipe", "broken", "-- --no-save")
    with pytest.raises(FocusError, match=r"^1 of 2 runs failed.* --start mean --recipe broken with seed 1: --no-save"):
        _compare(_words(world, data, output, *mean, *broken, *RECIPE, *length, "--keep"))
    assert (output / "rows.jsonl").read_bytes().startswith(first)
    one, two = (json.loads(line) for line in (output / "rows.jsonl").read_bytes().splitlines())
    assert (one["start"], two["start"]) == ("random", "mean")
    assert [path.name for path in (output / "runs").iterdir()] == ["mean.adapt.1"]
    for row in (one, two):
        assert list(row["curve"]) == ["2", "4", "6"]
        assert row["loss"] == pytest.approx(sum(row["sums"]) / sum(row["predictions"]), abs=1e-6)
        assert 0 < row["tokens"] <= 6 * 512
        found = evaluate(Evaluation(data=data, model=output / "starts" / row["start"], cpu=True))
        assert row["before"] == found.nats
    assert one["predictions"] == two["predictions"]
    found = evaluate(Evaluation(data=data, model=output / "runs" / "mean.adapt.1", cpu=True))
    assert two["loss"] == found.nats

    again = _compare(job)
    assert "run " not in again.stderr
    better = min((one, two), key=lambda row: row["loss"])["start"]
    assert f"Recommended: --start {better} with --recipe adapt" in again.stdout
    table = (output / "table.md").read_text(encoding="utf-8")
    assert {"random", "mean"} == set(re.findall(r"^\| (\w+) \| adapt \| 1 \|", table, re.MULTILINE))
    assert MEAN in (output / "report.html").read_text(encoding="utf-8")
    assert (output / "runs" / "mean.adapt.1" / "model.pt").exists()  # it was to be kept

    for other, says in (
        ((*random[:2], MEAN, *RECIPE, *length), "--start random: .* made from other input or options"),
        ((*random, *RECIPE, "--updates", 7), "already holds a comparison made from other input or options"),
        ((*random, "--recipe", "adapt", "--lr 1", *length), "line 1: is a run of another recipe with the name adapt"),
    ):
        with pytest.raises(FocusError, match=says):
            _compare(_words(world, data, output, *other))


def test_a_start_that_fails_is_named_before_anything_is_trained(world: World, data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    starts = ("--start", "good", "--method random", "--start", "bad", f"--corpus {tmp_path / 'empty.txt'}")
    with pytest.raises(EndOfDryRun):
        _compare(_words(world, data, tmp_path / "out", *starts[:3], *RECIPE, "--updates", 6, "--dry-run"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(FocusError, match=r"^--start bad: .*empty\.txt"):
        _compare(_words(world, data, tmp_path / "out", *starts, "--updates", 6))
    assert (tmp_path / "out" / "rows.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--start", "a", "--nonsense 1"), "--start a: No such option"),
        (("--start", "a", "--output b"), "--start a: --output is set by the comparison"),
        (("--start", "a", "--source=b"), "--start a: --source is set by the comparison"),
        (("--start", "a", "--extend"), "--start a: --extend makes a vocabulary that is not"),
        (("--start", "a", "--method random --dim 9"), "--start a: --dim has no effect with --method random"),
        (("--start", "a", "--corpus 'x"), "--start a: .*No closing quotation"),
        (("--start", "a", ""), "--start a: The method 'focus' needs auxiliary embeddings"),
        (("--start", "a", "--fill lots"), "--start a: Invalid value for '--fill'"),
        (("--start", "a/b", "--method random"), "--start a/b: a name consists of"),
        (("--start", "a", "--method random", "--start", "a", "--method random"), "--start a: the name is given twice"),
        (("--recipe", "r", "--updates 3"), "--recipe r: --updates is set by the comparison"),
        (("--recipe", "r", "--lr 1 -- --max-update=9"), "--recipe r: --max-update is set by the comparison"),
        (("--recipe", "r", "--lr fast"), "--recipe r: Invalid value for '--lr'"),
        (("--seeds", "1,x"), "Invalid value for '--seeds'"),
        (("--seconds", "60"), "Give either --updates or --seconds"),
    ],
)
def test_faults_in_options_are_told_with_the_name(words: tuple[str, ...], says: str) -> None:
    start = () if "--start" in words else ("--start", "a", "--method random")
    arguments = ["data", "--source", "s", "--output", "o", "--updates", "6", *start, *words]
    with pytest.raises((click.UsageError, FocusError)) as caught:
        command.main(arguments, standalone_mode=False)
    message = caught.value.format_message() if isinstance(caught.value, click.UsageError) else str(caught.value)
    assert re.match(says, message), message


def test_the_pace_is_that_of_most_updates(tmp_path: Path) -> None:
    """Tokens of an update divided by the median rate, whatever a validation or the first update take."""
    log = tmp_path / "train.log"
    base = {"loss": "9", "wpb": "4000", "num_updates": "1"}
    rates = ("10", "2000", "2000", "100", "2000")
    lines = [f"x | INFO | train_inner | {json.dumps({**base, 'wps': rate})}" for rate in rates]
    valid = {f"valid_{name}": value for name, value in {**base, "wps": "9"}.items()}
    log.write_text("\n".join([*lines, f"x | INFO | valid | {json.dumps(valid)}"]))
    found = pace(log)
    assert (found.tokens, found.seconds) == (4000, 2)
    log.write_text("nothing\n")
    with pytest.raises(FocusError, match="reports no update"):
        pace(log)
