"""What a command is going to do, step by step, and what each step needs; told before it starts."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.forecast.machine import Rates, measure_rates
from focus_plugin.memory import available_memory
from focus_plugin.options import option

_IGNORE = "start anyway with --skip-resource-check"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a command.

    name: what is done, as a sentence begins. seconds: how long it takes, from the rates of the machine; called in a
    dry run only, and may measure more; None where nobody can say. memory: bytes that the command holds meanwhile, all
    its processes together, at most. disk: bytes that it has written to the file system of the output and not removed
    yet, at most. elsewhere: bytes that it writes to other places, by directory. less: how to get along with less.
    """

    name: str
    seconds: Callable[[Rates], float] | None
    memory: int
    disk: int = 0
    elsewhere: tuple[tuple[Path, int], ...] = ()
    less: str = ""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The steps that make ``output``, whose files then have ``size`` bytes."""

    output: Path
    steps: tuple[Step, ...]
    size: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a command begins. show: called with each line that a dry run says."""

    dry_run: bool = option(False, help="Write nothing; say what would be done, and what it takes in time and space.")
    skip_resource_check: bool = option(False, help="Start even if memory or disk seem to be too small.")
    show: Callable[[str], object] = lambda line: None


AT_ONCE = Start()


class EndOfDryRun(Exception):  # noqa: N818 - not an error
    """Raised where a dry run has said everything, in the place of the work."""


def begin(forecast: Forecast, start: Start) -> None:
    """Let the work begin: raise FocusError if this machine has too little memory or disk for it.

    In a dry run the forecast is shown before, and EndOfDryRun is raised where the work could begin.
    """
    if start.dry_run:
        for line in told(forecast, measure_rates(existing_parent(forecast.output))):
            start.show(line)
    if not start.skip_resource_check:
        require_resources(forecast)
    if start.dry_run:
        raise EndOfDryRun


def already_there(output: Path, start: Start) -> None:
    """What a dry run says, instead of a forecast, of an output that need not be made again."""
    if start.dry_run:
        start.show(f"{output}: already made from this input with these options; there is nothing to do.")
        raise EndOfDryRun


def require_resources(forecast: Forecast) -> None:
    """Raise FocusError if memory or a disk is too small for a step."""
    most = max(forecast.steps, key=lambda step: step.memory)
    available = available_memory()
    if available is not None and most.memory > available:
        raise FocusError(
            f"{forecast.output}: {_lower(most.name)} needs about {size(most.memory)} of memory, and {size(available)} "
            f"are available; {most.less or 'use a machine with more'}, or {_IGNORE}."
        )
    for place, needed in _disks(forecast):
        if needed > (free := shutil.disk_usage(place).free):
            raise FocusError(
                f"{forecast.output}: needs about {size(needed)} on the disk of {place}, and {size(free)} are free; "
                f"make room there, or {_IGNORE}."
            )


def told(forecast: Forecast, rates: Rates) -> Iterator[str]:
    """The lines that a dry run says of ``forecast``: a table of the steps, and what they take in all."""
    width = max(len(step.name) for step in forecast.steps)
    times = [step.seconds(rates) if step.seconds else None for step in forecast.steps]
    yield f"{'step':{width}}  {'time':>8}  {'memory':>8}  {'disk':>8}"
    for step, seconds in zip(forecast.steps, times, strict=True):
        time = "unknown" if seconds is None else duration(seconds)
        yield f"{step.name:{width}}  {time:>8}  {size(step.memory):>8}  {size(step.disk):>8}"
    about = "At least" if None in times else "About"
    memory, available = max(step.memory for step in forecast.steps), available_memory()
    of = f" ({size(available)} available)" if available is not None else ""
    disks = ", ".join(
        f"{size(needed)} on the disk of {place} ({size(shutil.disk_usage(place).free)} free)"
        for place, needed in _disks(forecast)
    )
    yield f"{about} {duration(sum(filter(None, times)))}, {size(memory)} of memory{of}, {disks}."
    yield f"{forecast.output} would have {size(forecast.size)}. Nothing was written."


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
    """The directory, of those that ``output`` is to be in, that exists already."""
    return next(path for path in output.absolute().parents if path.is_dir())


def _disks(forecast: Forecast) -> list[tuple[Path, int]]:
    """What each file system is to hold: a directory on it, and bytes."""
    most: dict[int, tuple[Path, int]] = {}
    output = existing_parent(forecast.output)
    places = [(output, max(step.disk for step in forecast.steps))]
    places += [(existing_parent(place / "x"), count) for step in forecast.steps for place, count in step.elsewhere]
    for place, count in places:
        device = place.stat().st_dev
        first, before = most.get(device, (place, 0))
        most[device] = (first, before + count)
    return list(most.values())


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
