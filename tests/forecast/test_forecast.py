"""What is said before the work, and what is refused then."""

import re
import shutil

import pytest

from focus_plugin.errors import FocusError
from focus_plugin.forecast.forecast import EndOfDryRun, Forecast, Launch, Step, begin, described, duration, size
from focus_plugin.forecast.machine import Rates, measure_rates

RATES = Rates(elapsed=2.0, copy=1e9, write=1e6)
MORE_THAN_ANY = 10**18


def step(name: str = "Reading", **changes) -> Step:
    return Step(**{"name": name, "seconds": lambda rates: rates.elapsed, "memory": 1_000_000, **changes})


def forecast(output, *steps: Step) -> Forecast:
    return Forecast(output=output, steps=steps, size=5_000_000)


def test_too_little_memory_is_told_with_what_is_needed_and_available(tmp_path):
    large = step("Training", memory=MORE_THAN_ANY, less="a smaller --device-tokens needs less")
    made = forecast(tmp_path / "out", step(), large)
    with pytest.raises(FocusError) as caught:
        begin(made, Launch())
    assert re.fullmatch(
        rf"{tmp_path}/out: training needs about 1000000000\.0 GB of memory, and \d+\.\d GB are available; a smaller "
        r"--device-tokens needs less, or start anyway with --skip-resource-check\.",
        str(caught.value),
    )
    begin(made, Launch(skip_resource_check=True))


def test_too_small_a_disk_is_told_with_what_is_needed_and_free(tmp_path):
    place = tmp_path / "not" / "there" / "yet"
    for made in (
        forecast(place / "out", step(disk=1), step(disk=MORE_THAN_ANY)),
        forecast(place / "out", step(elsewhere=((place / "cache", MORE_THAN_ANY),))),
    ):
        with pytest.raises(
            FocusError, match=rf"out: the command needs about 1000000000\.0 GB on the disk of {tmp_path}, and .* free"
        ):
            begin(made, Launch())
        begin(made, Launch(skip_resource_check=True))
    free = shutil.disk_usage(tmp_path).free
    half = step(disk=int(free * 0.6), elsewhere=((tmp_path, int(free * 0.6)),))
    with pytest.raises(FocusError, match="on the disk"):
        begin(forecast(tmp_path / "out", half), Launch())
    begin(forecast(tmp_path / "out", step(disk=int(free * 0.6)), step(disk=int(free * 0.6))), Launch())


def test_a_dry_run_says_everything_and_begins_nothing(tmp_path):
    lines: list[str] = []
    made = forecast(tmp_path / "out", step(), step("Writing", seconds=lambda rates: 3e6 / rates.write, disk=7_000_000))
    with pytest.raises(EndOfDryRun):
        begin(made, Launch(dry_run=True, show=lines.append))
    assert [line.split()[0] for line in lines[:3]] == ["step", "Reading", "Writing"]
    assert lines[-1] == f"{tmp_path}/out would have 5 MB. Nothing was written."
    assert not list(tmp_path.iterdir())
    lines.clear()
    with pytest.raises(FocusError, match="of memory"):
        begin(forecast(tmp_path / "out", step(memory=MORE_THAN_ANY)), Launch(dry_run=True, show=lines.append))
    assert len(lines) == 4, "the forecast comes before the refusal"


def test_the_table_adds_up(tmp_path):
    made = forecast(tmp_path / "out", step(memory=3_000_000_000), step("Writing", disk=4_000_000_000))
    lines = [*described(made, RATES)]
    assert lines[1].split() == ["Reading", "2", "s", "3.0", "GB", "0", "MB"]
    assert lines[2].split() == ["Writing", "2", "s", "1", "MB", "4.0", "GB"]
    assert lines[3].startswith("About 4 s, 3.0 GB of memory (")
    assert f"4.0 GB on the disk of {tmp_path} (" in lines[3]
    unknown = forecast(tmp_path / "out", step(), step("Training", seconds=None))
    lines = [*described(unknown, RATES)]
    assert "unknown" in lines[2]
    assert lines[3].startswith("At least 2 s,")


def test_amounts_are_told_in_units_that_fit():
    assert [duration(seconds) for seconds in (0.2, 99, 100, 3600, 5400, 7200, 36_000, 400_000)] == [
        *("1 s", "99 s", "2 min", "60 min", "90 min", "2.0 h", "10.0 h", "4.6 days"),
    ]
    assert [size(count) for count in (0, 10, 12_345_678, 1_260_000_000)] == ["0 MB", "1 MB", "12 MB", "1.3 GB"]


def test_measuring_leaves_nothing_behind(tmp_path):
    rates = measure_rates(tmp_path)
    assert not list(tmp_path.iterdir())
    assert min(rates.copy, rates.write) > 1e5
    assert rates.elapsed > 0
