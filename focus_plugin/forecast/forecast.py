"""The steps of a command and the resources that each needs, which are shown or checked before the command starts."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.forecast.machine import Rates, measure_rates
from focus_plugin.memory import available_memory
from focus_plugin.options import option

_OVERRIDE = "start anyway with --skip-resource-check"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a command.

    name: what is done, as the beginning of a sentence. seconds: computes how long it takes from the rates of this
    machine, and may measure more; called only in a dry run. Either is None if the time cannot be forecast. memory: peak
    memory in bytes of all processes of the command during the step. disk: peak size in bytes of what the command has
    written so far to the file system of the output and has not removed. elsewhere: bytes it writes in other
    directories. less: how the user can reduce the memory, for the error message.
    """

    name: str
    seconds: Callable[[Rates], float | None] | None
    memory: int
    disk: int = 0
    elsewhere: tuple[tuple[Path, int], ...] = ()
    less: str = ""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The steps of a command.

    output: the file or directory that the command makes; None if it only prints a result. size: its bytes, at most;
    None if the size cannot be forecast.
    """

    output: Path | None
    steps: tuple[Step, ...]
    size: int | None = 0


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a command starts. show: prints a line of the forecast."""

    dry_run: bool = option(
        False, help="Write nothing; say what would be done, and how much time, memory and disk it would take."
    )
    skip_resource_check: bool = option(False, help="Start even if there seems to be too little memory or disk.")
    show: Callable[[str], object] = lambda line: None


AT_ONCE = Launch()


class EndOfDryRun(Exception):  # noqa: N818 - not an error
    """Raised at the end of a dry run, where the work would begin."""


def begin(forecast: Forecast, launch: Launch) -> None:
    """Check that this machine has the memory and the disk for a command; called before its work.

    A dry run shows the forecast first. Raises FocusError if memory or disk are too small and the user has not chosen to
    skip this check, and EndOfDryRun in a dry run.
    """
    if launch.dry_run:
        place = existing_parent(forecast.output) if forecast.output else Path(tempfile.gettempdir())
        for line in described(forecast, measure_rates(place)):
            launch.show(line)
    if not launch.skip_resource_check:
        require_resources(forecast)
    if launch.dry_run:
        raise EndOfDryRun


def already_there(output: Path, launch: Launch) -> None:
    """In a dry run, say that the output exists already, and raise EndOfDryRun."""
    if launch.dry_run:
        launch.show(f"{output}: already made from this input with these options; there is nothing to do.")
        raise EndOfDryRun


def require_resources(forecast: Forecast) -> None:
    """Raise FocusError if the memory or a disk is too small for a step."""
    most = max(forecast.steps, key=lambda step: step.memory)
    available = available_memory()
    if available is not None and most.memory > available:
        raise _too_little(
            forecast,
            f"{most.name} needs about {size(most.memory)} of memory, and {size(available)} are available; "
            f"{most.less or 'use a machine with more'}, or {_OVERRIDE}.",
        )
    for place, needed in _disks(forecast):
        if needed > (free := shutil.disk_usage(place).free):
            raise _too_little(
                forecast,
                f"The command needs about {size(needed)} on the disk of {place}, and {size(free)} are free; "
                f"make room there, or {_OVERRIDE}.",
            )


def _too_little(forecast: Forecast, sentence: str) -> FocusError:
    """The error, which names the output if there is one."""
    return FocusError(f"{forecast.output}: {sentence[0].lower()}{sentence[1:]}" if forecast.output else sentence)


def described(forecast: Forecast, rates: Rates) -> Iterator[str]:
    """The lines that describe a forecast: a table of the steps, the totals, and the output."""
    width = max(len(step.name) for step in forecast.steps)
    yield f"{'step':{width}}  {'time':>8}  {'memory':>8}  {'disk':>8}"
    times = []
    for step in forecast.steps:
        seconds = step.seconds(rates) if step.seconds else None
        times.append(seconds)
        time = "unknown" if seconds is None else duration(seconds)
        yield f"{step.name:{width}}  {time:>8}  {size(step.memory):>8}  {size(step.disk):>8}"
    about = "At least" if None in times else "About"
    memory, available = max(step.memory for step in forecast.steps), available_memory()
    of = f" ({size(available)} available)" if available is not None else ""
    disks = "".join(
        f", {size(needed)} on the disk of {place} ({size(shutil.disk_usage(place).free)} free)"
        for place, needed in _disks(forecast)
    )
    yield f"{about} {duration(sum(filter(None, times)))}, {size(memory)} of memory{of}{disks}."
    yield _about_output(forecast)


def _about_output(forecast: Forecast) -> str:
    if not forecast.output:
        return "The command would only print its result."
    if forecast.size is None:
        return f"The size of {forecast.output} is unknown, as is the amount of input. Nothing was written."
    return f"{forecast.output} would have {size(forecast.size)}. Nothing was written."


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h`` or ``2.1 days``."""
    for limit, unit, name in ((100, 1, "s"), (6000, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}" if unit == 3600 else f"{max(1, round(seconds / unit))} {name}"
    return f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    """``12 MB`` or ``1.2 GB``; a gigabyte is 10^9 bytes."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6)) if count else 0} MB"


def existing_parent(output: Path) -> Path:
    """The nearest directory above ``output`` that exists."""
    return next(path for path in output.absolute().parents if path.is_dir())


def _disks(forecast: Forecast) -> list[tuple[Path, int]]:
    """A directory on each file system that is written to, and the bytes needed there."""
    places = [(existing_parent(place / "x"), count) for step in forecast.steps for place, count in step.elsewhere]
    if forecast.output:
        places.insert(0, (existing_parent(forecast.output), max(step.disk for step in forecast.steps)))
    most: dict[int, tuple[Path, int]] = {}
    for place, count in places:
        device = place.stat().st_dev
        first, before = most.get(device, (place, 0))
        most[device] = (first, before + count)
    return list(most.values())
