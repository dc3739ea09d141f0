"""The forecast of the runs of a comparison that are not done yet."""

from collections import Counter
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

from focus_plugin.checkpoint.hub import locate
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.comparison.plan import Plan, Run
from focus_plugin.forecast.comparison import TrainingRuns, comparison_forecast
from focus_plugin.forecast.conversion import conversion_forecast, conversion_work
from focus_plugin.forecast.forecast import Forecast
from focus_plugin.jobs.pretrain import training_work
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary

_SOME_UPDATES = 12  # memory and disk are the same for any number


def forecast_runs(plan: Plan, starts: Path, left: Set[Run]) -> Forecast:
    """The forecast of the runs in ``left``, and of the starts that are not in the directory ``starts`` yet."""
    what = replace(plan.conversion(), source=locate(plan.options.source).directory)
    source, conversions, trainings = read_checkpoint(what.source), {}, {}
    for named in plan.starts:
        encoder, options = starts / named.name, named.how.options
        if not encoder.exists():
            digest = Text.of(*options.corpus).content().digest if options.corpus else None
            conversion = conversion_work(what, named.how, source, digest)
            conversions[f"--start {named.name}"] = conversion_forecast(conversion, encoder, options.device)
    target = replace(source, vocabulary=read_dictionary(vocabulary_files(plan.options.data)[0]))
    for recipe, runs in Counter(run.recipe for run in left).items():
        job = plan.training(recipe, starts, plan.options.updates or _SOME_UPDATES, seed=1)
        work = training_work(job, target)
        trainings[f"--recipe {recipe}"] = TrainingRuns(work=work, runs=runs, seconds=plan.options.seconds)
    return comparison_forecast(starts.parent, conversions, trainings, plan.options.keep)
