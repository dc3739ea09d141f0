"""What is compared: starts and recipes by name, and the runs that they make."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from focus_plugin.comparison.options import ComparisonOptions
from focus_plugin.errors import FocusError
from focus_plugin.masked_lm.options import Evaluation, Pretraining
from focus_plugin.options import settings
from focus_plugin.transfer.options import ConversionOptions, Initialization

_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class NamedStart:
    """A way of making the encoder that a training starts from. words: its options as the user wrote them."""

    name: str
    words: str
    how: Initialization


@dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """A way of training. words: its options as the user wrote them. job: them parsed; the data, the encoder, the number
    of updates and the random seed in it are not used."""

    name: str
    words: str
    job: Pretraining


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: the names of its start and recipe, and its random seed."""

    start: str
    recipe: str
    seed: int

    def __str__(self) -> str:
        return f"{self.start}.{self.recipe}.{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is compared: every start with every recipe and every random seed."""

    options: ComparisonOptions
    starts: tuple[NamedStart, ...]
    recipes: tuple[NamedRecipe, ...]
    seeds: tuple[int, ...]

    def runs(self) -> Iterator[Run]:
        """All runs. Those of one seed come together, so that an early end leaves all pairs with as many seeds."""
        for seed, start, recipe in product(self.seeds, self.starts, self.recipes):
            yield Run(start=start.name, recipe=recipe.name, seed=seed)

    def start(self, name: str) -> NamedStart:
        """The start of that name."""
        return next(start for start in self.starts if start.name == name)

    def recipe(self, name: str) -> NamedRecipe:
        """The recipe of that name."""
        return next(recipe for recipe in self.recipes if recipe.name == name)

    def conversion(self) -> ConversionOptions:
        """What every start converts."""
        return ConversionOptions(source=self.options.source, vocabulary=self.options.data)

    def training(self, recipe: str, init: Path, updates: int, seed: int) -> Pretraining:
        """The training of a run of ``updates`` updates from the encoder ``init``."""
        options, job = self.options, self.recipe(recipe).job
        length = options.tokens_per_sample
        return replace(
            job,
            data=options.data,
            init=init,
            updates=updates,
            seed=seed,
            cpu=options.cpu,
            validate_every=options.validate_every or math.ceil(updates / 3),
            extra=(*(("--tokens-per-sample", str(length)) if length else ()), *job.extra),
        )

    def evaluation(self, model: Path) -> Evaluation:
        """How the loss of ``model`` is measured."""
        options = self.options
        length = {"tokens_per_sample": options.tokens_per_sample} if options.tokens_per_sample else {}
        return Evaluation(data=options.data, model=model, split=options.split, cpu=options.cpu, **length)

    def shared_settings(self) -> dict[str, Any]:
        """The options that all runs in one directory must have in common; how long they are kept is not one."""
        return {name: value for name, value in settings(self.options).items() if name != "keep"}

    def recipe_settings(self, name: str) -> dict[str, Any]:
        """What a recipe chooses, for comparing it with that of an earlier run of the same name."""
        job = self.recipe(name).job
        chosen = {key: value for key, value in settings(job).items() if key not in ("updates", "seed", "cpu")}
        return {**chosen, "extra": list(job.extra)}


def require_names(option: str, names: Sequence[str]) -> None:
    """Raise FocusError unless each of ``names``, given with ``option``, can be in the name of a directory, once."""
    for i, name in enumerate(names):
        if not _NAME.fullmatch(name):
            raise FocusError(f"{option} {name}: a name consists of the letters A to Z, digits, - and _.")
        if name in names[:i]:
            raise FocusError(f"{option} {name}: the name is given twice; choose another for one of them.")
