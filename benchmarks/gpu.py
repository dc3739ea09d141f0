"""The steps of `scripts/gpu` that need the environment: checks, measurements, and the tables of both.

    scripts/gpu check [JOB ...]      is everything right on the GPU?
    scripts/gpu measure [JOB ...]    how fast is it?
    scripts/gpu tables               of what was found so far

Each job runs in a process of its own, with its output in OUTPUT/JOB.log. What it finds is a line of
OUTPUT/results.jsonl, and a job with a line is not repeated, so the same command goes on after an interruption.
`--minutes` stops in time for machines that are lent by the minute. Without a GPU the jobs run on the CPU as far as that
goes; `--small` makes them small enough for a test. Exits with 1 if a job did not finish or a check does not hold.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import gpu_checks
import gpu_serving
import gpu_settings
import gpu_training
from arguments import program_parser
from gpu_results import Job, Place, Row, add, read, tables

STEPS: dict[str, list[Job]] = {
    "check": gpu_checks.JOBS,
    "measure": [*gpu_serving.PEAK, *gpu_training.JOBS, *gpu_serving.JOBS, *gpu_settings.JOBS],
}


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"[gpu] {text}", file=sys.stderr, flush=True)


def work(job: Job, place: Place) -> None:
    """Run a job in this process, which is its own, and write what it finds."""
    os.setsid()  # so that it ends together with the processes that it starts
    log = os.open(place.directory / f"{job.name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        add(place, job, list(job.run(place)))
    except BaseException:
        traceback.print_exc()
        raise SystemExit(1) from None


def run(job: Job, place: Place, seconds: float) -> bool:
    """Run a job in a new process of at most ``seconds``; whether it ended well."""
    if seconds <= 0:
        say(f"{job.name}: no time is left")
        return False
    start = time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=work, args=(job, place))
    process.start()
    process.join(seconds)
    late = process.is_alive()
    if late and process.pid is not None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    took = time.monotonic() - start
    if process.exitcode == 0:
        rows = read(place)[job.name]
        say(f"{job.name}: {took:.0f} s" if rows else f"{job.name}: not on this machine")
        return True
    log = place.directory / f"{job.name}.log"
    last = (log.read_text(errors="replace").splitlines() or [""])[-1] if log.exists() else ""
    say(f"{job.name}: stopped after {took:.0f} s, no time is left" if late else f"{job.name} failed: {last}; see {log}")
    return False


def broken(rows: list[Row]) -> bool:
    """Whether a check does not hold."""
    return any(row.get("holds") is False for row in rows)


def main() -> None:
    """Run a step and print its tables."""
    parser = program_parser(__doc__)
    parser.add_argument("step", choices=(*STEPS, "tables"))
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="by default all")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / ".gpu" / "results")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--minutes", type=float, default=600.0)
    given = parser.parse_intermixed_args()
    end = time.monotonic() + 60 * given.minutes
    given.output.mkdir(parents=True, exist_ok=True)
    place = Place(given.output.absolute(), given.small)
    jobs = [job for step in STEPS if given.step in (step, "tables") for job in STEPS[step]]
    unknown = set(given.jobs) - {job.name for job in jobs}
    if unknown:
        parser.error(f"There is no job {min(unknown)}; the jobs are {', '.join(job.name for job in jobs)}.")
    unfinished = []
    for job in jobs if given.step != "tables" else ():
        if given.jobs and job.name not in given.jobs:
            continue
        if read(place).get(job.name):
            say(f"{job.name}: was done")
        elif not run(job, place, end - time.monotonic()):
            unfinished.append(job.name)
    found = read(place)
    print("\n".join(tables(jobs, found)))
    wrong = [job.name for job in jobs if broken(found.get(job.name, []))]
    if unfinished or wrong:
        sys.exit(f"Not finished: {', '.join(unfinished) or 'none'}. Wrong: {', '.join(wrong) or 'none'}.")


if __name__ == "__main__":
    main()
