"""Runs a comparison of starts and recipes: converts, trains, evaluates, and writes rows, table and page."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from focus_plugin.checkpoint.hub import locate
from focus_plugin.checkpoint.read import checkpoint_files, read_checkpoint
from focus_plugin.comparison.bootstrap import blocks
from focus_plugin.comparison.pace import pace
from focus_plugin.comparison.page import write_page
from focus_plugin.comparison.plan import NamedStart, Plan, Run
from focus_plugin.comparison.results import Result, results
from focus_plugin.comparison.rows import Row, RowsFile, open_rows
from focus_plugin.comparison.table import markdown
from focus_plugin.errors import FocusError
from focus_plugin.files import sha256, whole_directory, whole_file, write_json
from focus_plugin.forecast.forecast import Launch, already_there, begin
from focus_plugin.jobs.compare_forecast import forecast_runs
from focus_plugin.jobs.convert import convert
from focus_plugin.jobs.evaluate import evaluate
from focus_plugin.jobs.prepare import DATA_KIND, require_prepared
from focus_plugin.jobs.pretrain import pretrain
from focus_plugin.manifest import Manifest, already_made, describe, expect_kind, write_manifest
from focus_plugin.masked_lm.loss import MaskedLMLoss
from focus_plugin.progress import Phase, no_phase
from focus_plugin.training.release import LOG
from focus_plugin.training.watcher import Watcher

_KIND = "comparison"
_ROWS, PAGE, _TABLE, _STARTS = "rows.jsonl", "report.html", "table.md", "starts"
_PROBE_UPDATES = 12


@dataclass(frozen=True, kw_only=True)
class Display:
    """How progress is shown; by default not at all. watch: makes the watcher of one training. say: shows a line."""

    phase: Phase = no_phase
    watch: Callable[[], AbstractContextManager[Watcher]] = lambda: nullcontext(Watcher())
    say: Callable[[str], object] = lambda line: None


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """A comparison in its directory. made_of: options, inputs and versions of each start, by its name."""

    plan: Plan
    output: Path
    rows: RowsFile
    display: Display
    launch: Launch
    made_of: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def encoder(self, start: str) -> Path:
        return self.output / _STARTS / start

    def trained(self, run: Run) -> Path:
        return self.output / "runs" / str(run)


def compare(plan: Plan, output: Path, display: Display, launch: Launch) -> list[Result]:
    """Do all runs of ``plan`` that have no row in ``output`` yet; return the results of all rows, the best first.

    The table and the page are written after every run. A comparison that was killed goes on when it is repeated, and
    other starts, recipes and seeds can be added. Raises FocusError if ``output`` holds a comparison on other data or of
    another length, if a start fails, or, after all others, if a run fails.
    """
    require_prepared(plan.options.data, *{"train", "valid", plan.options.split})
    manifest = _describe(plan, display.phase)
    started = already_made(output, manifest)
    if launch.dry_run:
        _dry_run(plan, output, launch)
    if not started:
        with whole_directory(output) as directory:
            write_manifest(directory, manifest, {})
    with open_rows(output / _ROWS) as rows:
        comparison = _Comparison(plan=plan, output=output, rows=rows, display=display, launch=launch)
        for recipe in plan.recipes:
            rows.require_same("recipe", recipe.name, plan.recipe_settings(recipe.name))
        for named in plan.starts:
            with _naming(f"--start {named.name}"):
                _convert(comparison, named)
        _train_all(comparison)
        return _write_results(comparison)


def _describe(plan: Plan, phase: Phase) -> Manifest:
    source = locate(plan.options.source, phase).directory
    files = checkpoint_files(source)
    if not files:
        read_checkpoint(source)  # raises, since something is missing
    with phase("Reading the source", sum(path.stat().st_size for path in files)) as progress:
        inputs = {f"source/{path.name}": sha256(path, progress) for path in files}
    of_data = expect_kind(plan.options.data, DATA_KIND).inputs
    return describe(_KIND, plan.shared_settings(), {**inputs, **of_data}, ("torch", "fairseq"))


def _dry_run(plan: Plan, output: Path, launch: Launch) -> None:
    left = set(plan.runs())
    if (output / _ROWS).exists():
        with open_rows(output / _ROWS) as file:
            left -= {row.run for row in file.rows}
    if not left:
        already_there(output, launch)
    begin(forecast_runs(plan, output / _STARTS, left), launch)


@contextmanager
def _naming(words: str) -> Iterator[None]:
    """Put the user's words that led to a FocusError before its message."""
    try:
        yield
    except FocusError as error:
        raise FocusError(f"{words}: {error}") from error


def _convert(comparison: _Comparison, named: NamedStart) -> None:
    """Convert a start unless that is done already, and write down how long it took."""
    encoder, plan = comparison.encoder(named.name), comparison.plan
    new = not encoder.exists()
    if new:
        comparison.display.say(f"--start {named.name}: converting")
    began = time.monotonic()
    with _no_cached_vectors(encoder) if plan.options.seconds else nullcontext():
        made = convert(plan.conversion(), named.how, encoder, comparison.display.phase, launch=comparison.launch)
    if new:
        with whole_file(_time_file(encoder)) as path:
            write_json(path, {"seconds": round(time.monotonic() - began, 2)})
    made_of = {"options": made.options, "inputs": made.inputs, "made_by": made.made_by}
    comparison.made_of[named.name] = made_of
    comparison.rows.require_same("start", named.name, made_of)


@contextmanager
def _no_cached_vectors(encoder: Path) -> Iterator[None]:
    """Let a conversion train its own vectors, so that its seconds are those of all its work."""
    encoder.parent.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("FOCUS_CACHE")
    with tempfile.TemporaryDirectory(dir=encoder.parent, prefix=".cache-") as cache:
        os.environ["FOCUS_CACHE"] = cache
        try:
            yield
        finally:
            if before is None:
                del os.environ["FOCUS_CACHE"]
            else:
                os.environ["FOCUS_CACHE"] = before


def _time_file(made: Path) -> Path:
    return made.with_name(f"{made.name}.seconds.json")


def _noted_seconds(made: Path) -> float | None:
    """The seconds in the file beside a directory; None if the command was killed before it wrote them."""
    path = _time_file(made)
    return float(json.loads(path.read_text(encoding="utf-8"))["seconds"]) if path.is_file() else None


def _train_all(comparison: _Comparison) -> None:
    """Do the runs that have no row. If one fails, for example because its loss diverges, the others are still done."""
    runs, finished = list(comparison.plan.runs()), {row.run: row for row in comparison.rows.rows}
    failed: list[FocusError] = []
    for number, run in enumerate(runs, 1):
        if run in finished:
            if not finished[run].kept:
                _remove(comparison.trained(run))  # a command that was killed could not do so
            continue
        what = f"--start {run.start} --recipe {run.recipe} with seed {run.seed}"
        comparison.display.say(f"{what}: run {number} of {len(runs)}")
        try:
            with _naming(what):
                row = _row(comparison, run)
        except FocusError as error:
            comparison.display.say(f"Failed: {error}")
            failed.append(error)
            continue
        comparison.rows.add(row)
        if not row.kept:
            _remove(comparison.trained(run))
        _write_results(comparison)
    if failed:
        raise FocusError(f"{len(failed)} of {len(runs)} runs failed; repeat the command for these. {failed[0]}")


def _row(comparison: _Comparison, run: Run) -> Row:
    plan, encoder, output = comparison.plan, comparison.encoder(run.start), comparison.trained(run)
    earlier = [row.before for row in comparison.rows.rows if row.start == run.start]
    before = earlier[0] if earlier else _evaluated(comparison, encoder).nats
    updates = plan.options.updates or _affordable_updates(comparison, run)
    with comparison.display.watch() as watcher:
        job = plan.training(run.recipe, encoder, updates, run.seed)
        made = pretrain(job, output, replace(watcher, command=lambda _: None), comparison.launch)
    after = _evaluated(comparison, output)
    sums, predictions = blocks(after.sums, after.predictions)
    trained = pace(output / LOG)
    return Row(
        start=run.start,
        recipe=run.recipe,
        seed=run.seed,
        updates=updates,
        tokens=round(updates * trained.tokens),
        curve=made.counts["valid_loss_nats"],
        before=before,
        loss=after.nats,
        sums=sums.round(6).tolist(),
        predictions=predictions.tolist(),
        conversion_seconds=_noted_seconds(encoder),
        training_seconds=round(updates * trained.seconds, 2),
        kept=plan.options.keep,
        made_of={
            "start": comparison.made_of[run.start],
            "recipe": plan.recipe_settings(run.recipe),
            "made_by": made.made_by,
        },
        words={"start": plan.start(run.start).words, "recipe": plan.recipe(run.recipe).words},
    )


def _evaluated(comparison: _Comparison, model: Path) -> MaskedLMLoss:
    return evaluate(comparison.plan.evaluation(model), comparison.display.phase, comparison.launch)


def _affordable_updates(comparison: _Comparison, run: Run) -> int:
    """How many updates a run can do in the seconds that its conversion leaves. Raises FocusError if none."""
    seconds, encoder = comparison.plan.options.seconds, comparison.encoder(run.start)
    assert seconds is not None
    converted = _noted_seconds(encoder)
    if converted is None:
        raise FocusError(
            f"{encoder}: the time of its conversion is unknown, because the command was killed before it was written "
            "down; remove this directory and repeat the command."
        )
    updates = int((seconds - converted) / _seconds_per_update(comparison, run))
    if updates < 1:
        raise FocusError(f"the conversion took {converted:.0f} s, which leaves no update; raise --seconds.")
    return updates


def _seconds_per_update(comparison: _Comparison, run: Run) -> float:
    """Measured once for each recipe by a short training, and saved for repetitions of the command."""
    probe = comparison.output / "probes" / run.recipe
    noted = _noted_seconds(probe)
    if noted is None:
        comparison.display.say(f"--recipe {run.recipe}: measuring the seconds of an update")
        job = comparison.plan.training(run.recipe, comparison.encoder(run.start), _PROBE_UPDATES, run.seed)
        pretrain(replace(job, validate_every=_PROBE_UPDATES), probe, Watcher(), comparison.launch)
        noted = pace(probe / LOG).seconds
        with whole_file(_time_file(probe)) as path:
            write_json(path, {"seconds": noted})
    _remove(probe)
    return noted


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def _write_results(comparison: _Comparison) -> list[Result]:
    found = results(comparison.rows.rows)
    with whole_file(comparison.output / _TABLE) as path:
        path.write_text(markdown(found), encoding="utf-8")
    write_page(comparison.output / PAGE, comparison.output.name, found)
    return found
