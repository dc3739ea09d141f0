"""What a dry run of a conversion says, against the conversion."""

import pytest
from invoked import refuse, run
from measure import run_beside
from snapshots import snapshot

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.forecast.conversion import conversion_forecast, conversion_work
from focus_plugin.forecast.method import MethodWork
from focus_plugin.mixing.discovery import find_method
from focus_plugin.text import Text
from focus_plugin.transfer.options import ConversionOptions, initialization
from focus_plugin.vocabulary.readers import read_dictionary


@pytest.mark.parametrize("options", [(), ("--method", "random", "--calibrate", 0)], ids=["focus", "random"])
def test_a_dry_run_of_a_conversion_says_what_the_conversion_takes(
    options, release, vocabulary, target_text, tmp_path, monkeypatch
):
    monkeypatch.setenv("FOCUS_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "out"
    command = ["focus", "convert", "--source", release, "--vocab", vocabulary, "--corpus", target_text, *options]
    before = snapshot(release.parent)
    said = run(*command, "--output", output, "--dry-run").stdout.splitlines()
    assert snapshot(release.parent) == before
    assert not list(tmp_path.iterdir())
    of_focus = ["Training auxiliary embeddings", "Making rows", "Fitting the output bias"]
    names = ["Reading the input", *(["Making rows"] if options else of_focus), "Writing encoder and report"]
    assert [line.split("  ")[0] for line in said[1:-2]] == names
    what = ConversionOptions(source=release, vocabulary=vocabulary)
    given = {"corpus": (target_text,), "calibrate": 0 if options else 16_384}
    how = initialization(find_method("random" if options else "focus"), given)
    work = conversion_work(what, how, read_checkpoint(release), Text.of(target_text).content().digest)
    forecast = conversion_forecast(work, output, "cpu")
    measured = run_beside(None, *command, "--output", output)
    size = sum(path.stat().st_size for path in output.iterdir())
    assert forecast.size == pytest.approx(size, rel=0.05)
    memory = max(step.memory for step in forecast.steps)
    assert measured.memory <= memory <= 1.6 * measured.memory + 30_000_000  # imports differ by machine
    said = run(*command, "--output", output, "--dry-run").stdout
    assert said.startswith(f"{output}: already made")
    said = run(*command, "--output", tmp_path / "again", "--dry-run").stdout
    assert "Training auxiliary embeddings" not in said, "they are in the cache now"
    refuse(*command, "--output", release, "--dry-run", says="already holds")


def test_a_method_is_tried_on_the_first_lines_of_its_files(release, vocabulary, source_text, target_text, tmp_path):
    """A line without a tab stops the conversion, but a trial only if it reads that line."""
    sides = [text.read_text().splitlines() * 2 for text in (source_text, target_text)]
    pairs = ["\t".join(pair) for pair in zip(*sides, strict=True)]

    def seconds(wrong: int) -> float | None:
        path = tmp_path / f"{wrong}.tsv"
        path.write_text("\n".join([*pairs[:wrong], "no tab", *pairs[wrong:]]))
        how = initialization(find_method("transtokens"), {"parallel": (path,)})
        language = read_dictionary(vocabulary / "dict.txt")
        return MethodWork(read_checkpoint(release), language, vocabulary, how).seconds()

    found = seconds(5500)
    assert found is not None
    assert found > 0
    assert seconds(3500) is None
