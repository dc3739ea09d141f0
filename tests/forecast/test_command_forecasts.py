"""What a dry run of each command says, against the command."""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from focus_cli.main import COMMANDS, main
from invoked import refuse, run
from measure import Usage, run_beside
from snapshots import snapshot

QUICK = {"explain", "inspect"}  # commands that take seconds whatever they are given
UNITS = {"MB": 1_000_000, "GB": 1_000_000_000}


def _subcommands(command: click.Command, context: click.Context) -> list[click.Command]:
    """The command itself, or all commands of a group."""
    if not isinstance(command, click.Group):
        return [command]
    found = [command.get_command(context, name) for name in command.list_commands(context)]
    return [nested for each in found if each for nested in _subcommands(each, context)]


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - QUICK))
def test_every_long_command_has_the_option(name):
    context = click.Context(main)
    command = main.get_command(context, name)
    assert command is not None
    for each in _subcommands(command, context):
        options = {option for parameter in each.params for option in parameter.opts}
        assert {"--dry-run", "--skip-resource-check"} <= options, each.name


@dataclass(frozen=True)
class Said:
    """What a dry run said: names of the steps, and bytes of peak memory, peak disk and the output."""

    steps: list[str]
    memory: int
    disk: int
    size: int


def _amounts(pattern: str, line: str) -> int:
    found = re.search(rf"([\d.]+) (MB|GB) {pattern}", line)
    return round(float(found[1]) * UNITS[found[2]]) if found else 0


def dry_run(*command: object) -> Said:
    """Run a command with --dry-run."""
    header, *rows, total, last = run(*command, "--dry-run").stdout.splitlines()
    assert header.split() == ["step", "time", "memory", "disk"]
    assert re.match(r"(About|At least) \d", total)
    found = re.search(r" would have ([\d.]+) (MB|GB)\. Nothing was written\.$", last)
    size = round(float(found[1]) * UNITS[found[2]]) if found else 0
    names = [row.split("  ")[0] for row in rows]
    return Said(names, _amounts("of memory", total), _amounts("on the disk", total), size)


def check(said: Said, measured: Usage, output: Path | None) -> None:
    """The forecast of a command whose amounts are small: it rounds to megabytes, and imports differ by machine."""
    assert measured.memory <= said.memory <= 1.6 * measured.memory + 30_000_000
    assert measured.disk <= said.disk + 1_000_000
    if output:
        paths = [output] if output.is_file() else output.iterdir()
        size = sum(path.stat().st_size for path in paths)
        assert size <= said.size + 500_000 <= 1.5 * size + 1_500_000


@pytest.fixture(scope="module")
def prepared(directory, release, source_text, target_text) -> Path:
    output = directory / "forecasts.data"
    run("focus", "prepare", "--vocab", release, "--train", source_text, "--valid", target_text, "--output", output)
    return output


def test_vocab(target_text, tmp_path):
    output = tmp_path / "out"
    command = ["focus", "vocab", "--input", target_text, "--size", 400, "--output", output]
    said = dry_run(*command)
    assert not list(tmp_path.iterdir())
    assert said.steps == ["Reading the text", "Training 400 pieces"]
    check(said, run_beside(tmp_path, *command), output)
    assert "already made" in run(*command, "--dry-run").stdout
    refuse(*command[:-3], 300, "--output", output, "--dry-run", says="already holds")


def test_a_published_tokenizer_and_a_comparison_of_sizes(target_text, vocabulary, tmp_path):
    model = vocabulary / "sentencepiece.bpe.model"
    taken = dry_run("focus", "vocab", "--input", target_text, "--tokenizer", model, "--output", tmp_path / "out")
    assert taken.steps == ["Reading the text", "Counting tokens"]
    compared = dry_run("focus", "vocab", "--input", target_text, "--sizes", "300,400")
    assert compared.steps[1:] == ["Training 300 pieces", "Training 400 pieces"]
    assert not list(tmp_path.iterdir())


def test_a_text_that_is_too_small_to_measure_has_an_unknown_time(tmp_path):
    (text := tmp_path / "text").write_text("\n \n")
    line = run("focus", "vocab", "--input", text, "--size", 400, "--output", tmp_path / "out", "--dry-run").stdout
    assert "unknown" in line
    assert str(text) not in line


@pytest.mark.parametrize("options", [("a.safetensors",), ("a.bin", "--trainer", "fasttext", "--dim", 20)], ids=str)
def test_auxiliary(options, target_text, vocabulary, tmp_path, monkeypatch):
    monkeypatch.setenv("FOCUS_CACHE", str(tmp_path / "cache"))
    name, *others = options
    command = ["focus", "auxiliary", "--corpus", target_text, "--vocab", vocabulary, *others]
    command += ["--output", tmp_path / name]
    said = dry_run(*command)
    assert not list(tmp_path.iterdir())
    assert said.steps == ["Reading the input", "Training auxiliary embeddings", "Writing the embeddings"]
    check(said, run_beside(tmp_path, *command), tmp_path / name)
    refuse(*command, "--dry-run", says="already exists")
    if not others:
        again = dry_run(*command[:-1], tmp_path / "again.safetensors")
        assert "Training auxiliary embeddings" not in again.steps, "they are in the cache now"


def test_prepare(release, source_text, target_text, tmp_path):
    output = tmp_path / "out"
    command = ["focus", "prepare", "--vocab", release, "--train", source_text, "--valid", target_text]
    command += ["--output", output]
    said = dry_run(*command)
    assert not list(tmp_path.iterdir())
    assert said.steps == ["Reading the input", "Encoding"]
    check(said, run_beside(tmp_path, *command), output)


def test_evaluate(prepared, release, tmp_path):
    before = snapshot(prepared)
    command = ["focus", "evaluate", prepared, "--model", release, "--cpu"]
    said = dry_run(*command)
    assert said.steps == ["Reading encoder and text", "Evaluating"]
    check(said, run_beside(tmp_path, *command), None)
    assert snapshot(prepared) == before


def test_evaluate_a_table(classifier, tmp_path):
    (table := tmp_path / "table.tsv").write_text("label\ttext\n" + "sport\tkati ya mto\nhealth\tya mto\n" * 20)
    command = ["focus", "evaluate", "--model", classifier, "--table", table, "--cpu"]
    said = dry_run(*command)
    assert said.steps == ["Reading model and table", "Evaluating 40 samples"]
    check(said, run_beside(tmp_path, *command), None)


def test_finetune(release, tmp_path):
    tables = []
    for name, count in (("train", 24), ("valid", 9)):
        rows = [f"{'ab'[i % 2]}\t{'kati ya mto ' * (i % 4 + 1)}\n" for i in range(count)]
        (table := tmp_path / f"{name}.tsv").write_text("label\ttext\n" + "".join(rows))
        tables += [f"--{name}", table]
    output = tmp_path / "made" / "out"
    output.parent.mkdir()
    command = ["focus", "finetune", "classification", "--model", release, *tables, "--epochs", 2, "--batch-size", 8]
    command += ["--truncate", "--cpu", "--output", output]
    said = dry_run(*command)
    assert not list(output.parent.iterdir())
    assert said.steps == [
        *("Reading the input", "Encoding the tables", "Training: 6 updates", "Validation: 2 in all"),
        *("Writing the release", "Evaluating the release"),
    ]
    check(said, run_beside(output.parent, *command), output)
    assert "already made" in run(*command, "--dry-run").stdout


def test_export_for_transformers(release, tmp_path):
    output = tmp_path / "out"
    command = ["focus", "export", "--hf", "--model", release, "--output", output]
    said = dry_run(*command)
    assert not list(tmp_path.iterdir())
    assert said.steps == ["Reading the input", "Writing the model"]
    check(said, run_beside(tmp_path, *command), output)


def test_export_as_onnx_of_less_precision_and_fewer_tokens(classifier, target_text, tmp_path):
    (table := tmp_path / "valid.tsv").write_text("label\ttext\n" + "sport\tkati ya mto\nhealth\tya mto\n" * 20)
    (made := tmp_path / "made").mkdir()
    command = ["focus", "export", "--onnx", "--model", classifier, "--precision", "int8", "--valid", table]
    command += ["--keep-tokens-of", target_text, "--max-loss", 1, "--output", made / "out"]
    said = dry_run(*command)
    assert not list(made.iterdir())
    assert said.steps == ["Reading the input", "Counting tokens", "Writing and verifying", "Judging"]
    check(said, run_beside(made, *command), made / "out")


@pytest.mark.parametrize(("head", "name"), [("mood", "out.jsonl"), ("mean", "out.npy"), ("mean", "out.parquet")])
def test_predict(head, name, exports, tmp_path):
    (text := tmp_path / "text").write_text("katika msitu\n" * 3000)
    (made := tmp_path / "made").mkdir()
    command = ["focus", "predict", "--model", exports[head][0], "--input", text, "--output", made / name]
    said = dry_run(*command)
    assert not list(made.iterdir())
    steps = ["Loading the model", "Predicting about 3,000 texts", "Writing Parquet"]
    assert said.steps == steps[: 3 if name.endswith("parquet") else 2]
    measured = run_beside(made, *command)
    assert measured.memory <= said.memory
    assert measured.disk <= said.disk + 500_000
    size = (made / name).stat().st_size
    assert size <= said.size + 500_000
    assert name.endswith("parquet") or said.size <= 1.3 * size + 1_000_000, "Parquet compresses what is alike"
    refuse(*command, "--dry-run", says=f"{name}: already exists")


def test_compressed_texts_are_counted_and_standard_input_is_left_alone(exports, tmp_path):
    with gzip.open(tmp_path / "text.gz", "wt") as file:
        file.write("katika msitu\n" * 3000)
    command = ["focus", "predict", "--model", exports["mean"][0], "--output", tmp_path / "out.npy"]
    assert "Predicting about 3,000 texts" in dry_run(*command, "--input", tmp_path / "text.gz").steps
    lines = run(*command, "--input", "-", "--dry-run").stdout.splitlines()
    assert re.match(r"Predicting an unknown number of texts +unknown", lines[2])
    assert lines[-1].endswith("is unknown, as is the amount of input. Nothing was written.")
    assert [path.name for path in tmp_path.iterdir()] == ["text.gz"]


def test_too_little_memory_is_refused_before_the_work(exports, tmp_path):
    (text := tmp_path / "text").write_text("katika msitu\n" * 10)
    command = ["focus", "predict", "--model", exports["mean"][0], "--input", text, "--output", tmp_path / "out.npy"]
    command += ["--token-budget", 10**12]
    says = refuse(*command, says=" of memory, and ")
    assert "--skip-resource-check" in says
    assert refuse(*command, "--dry-run", says=" of memory, and ")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
    run(*command, "--skip-resource-check")
    assert (tmp_path / "out.npy").exists()
