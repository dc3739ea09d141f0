"""The text of a model card."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from focus_plugin.finetuning.seeds import mean_and_deviation
from focus_plugin.manifest import Manifest
from focus_plugin.model_card.front_matter import front_matter
from focus_plugin.model_card.metadata import metadata
from focus_plugin.model_card.metrics import HELD_OUT, Measured, exported, of_export, of_seeds, of_training
from focus_plugin.model_card.use import Code, Use

_MOST_ENTRIES = 50  # of a list
_NAMES = dict(zip(HELD_OUT, ("validation", "test"), strict=True))


def model_card(manifest: Manifest, use: Use) -> str:
    """The card of a directory. manifest: with its counts, but not necessarily with its files."""
    measured = of_training(manifest)
    own = measured or of_export(manifest, use.unchanged)
    parts = [
        [f"# {_begun(manifest.kind)}"],
        [f"Made by FOCUS for fairseq {manifest.made_by['focus-fairseq']}. `focus.json` has all of this, too."],
        *_used(use.code),
        *_metrics(manifest if measured else exported(manifest)),
        *_precision(manifest),
        *_steps(manifest),
    ]
    body = "\n\n".join("\n".join(lines) for lines in parts)
    return f"{front_matter(metadata(manifest, use, own))}\n{body}\n"


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _used(code: Sequence[Code]) -> Iterator[list[str]]:
    yield ["## Use"]
    yield ["All of this runs in this directory."]
    for part in code:
        yield [part.before]
        yield [f"```{part.language}", part.lines, "```"]


def _metrics(trained: Manifest) -> Iterator[list[str]]:
    measured = of_training(trained)
    if not measured:
        return
    yield ["## Metrics"]
    yield _table(measured)
    by = f" by its {trained.counts['chosen_by']}" if "chosen_by" in trained.counts else ""
    yield [f"The checkpoint was chosen{by} on the validation file, so its metrics there are too high."]
    for entry in measured:
        if seeds := of_seeds(trained, entry.split):
            yield [f"With several random seeds, on the {_NAMES[entry.split]} file:"]
            yield _seed_table(seeds)
    if failed := trained.counts.get("collapsed"):
        yield [f"Collapsed: {'; '.join(f'seed {seed}, {reason}' for seed, reason in failed.items())}."]


def _table(measured: Sequence[Measured]) -> list[str]:
    names = dict.fromkeys(name for entry in measured for name in entry.metrics)
    rows = [[name, *(_number(entry.metrics.get(name)) for entry in measured)] for name in names]
    return _rows(["metric", *(_NAMES[entry.split] for entry in measured)], rows)


def _seed_table(seeds: Mapping[str, Mapping[str, float]]) -> list[str]:
    names = list(next(iter(seeds.values())))
    spreads = [mean_and_deviation([metrics[name] for metrics in seeds.values()]) for name in names]
    rows = [[seed, *(_number(metrics[name]) for name in names)] for seed, metrics in seeds.items()]
    rows += [["mean", *(_number(mean) for mean, _ in spreads)]]
    rows += [["standard deviation", *(_number(deviation) for _, deviation in spreads)]]
    return _rows(["seed", *names], rows)


def _precision(manifest: Manifest) -> Iterator[list[str]]:
    scores: Mapping[str, Sequence[float]] = manifest.counts.get("scores", {})
    if "precision" not in manifest.options:
        return
    yield ["## Precision"]
    difference = f"{manifest.counts['largest_difference_to_pytorch']:.1e}"
    yield [f"{manifest.options['precision']}. The largest difference of the float32 export to PyTorch is {difference}."]
    if scores:
        yield [f"On the validation file of the export, with a loss of {_number(manifest.counts['loss'])}:"]
        rows = [[name, *map(_number, values)] for name, values in scores.items()]
        yield _rows(["metric", "float32, all tokens", "this model"], rows)


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _steps(manifest: Manifest) -> Iterator[list[str]]:
    """How the directory, and those that it was made from, were made."""
    yield ["## How it was made"]
    for number, step in enumerate((*manifest.history(), manifest), 1):
        yield [f"### {number}. {_begun(step.kind)}"]
        made_by = ", ".join(f"{module} {version}" for module, version in step.made_by.items())
        told = {"Options": _told(step.options), "Figures": _told(step.counts), "Made by": made_by}
        inputs = [f"  - `{name}`: {digest}" for name, digest in step.inputs.items()]
        yield [*(f"- **{name}**: {line}" for name, line in told.items() if line), "- **Input** (SHA-256):", *inputs]


def _told(values: Mapping[str, Any]) -> str:
    """The values that are set and short, without the directories of absolute paths."""
    return ", ".join(f"`{name}` {_value(value)}" for name, value in values.items() if _is_short(value))


def _is_short(value: Any) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return bool(value) and all(isinstance(entry, str | int | float) for entry in value)
    return value is not None and not isinstance(value, Mapping) and value != ""


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = ", ".join(map(_value, value[:_MOST_ENTRIES]))
        return f"[{shown}{', ...' if len(value) > _MOST_ENTRIES else ''}]"
    return _without_directories(value) if isinstance(value, str) else json.dumps(value)


def _without_directories(word: str) -> str:
    """The word, in which an absolute path, or one after ``=``, is only its last name."""
    name, equals, value = word.rpartition("=")
    return f"{name}{equals}{Path(value).name}" if value.startswith(("/", "~")) else word
