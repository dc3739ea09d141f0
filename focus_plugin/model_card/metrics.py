"""The metrics of a model, from its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from focus_plugin.manifest import Manifest

HELD_OUT = ("valid", "test")
_LOSSES = "valid_loss_nats"  # in counts: the masked-LM losses of a training, by update


@dataclass(frozen=True)
class Measured:
    """Metrics on one file. digest: its SHA-256. metrics: by name."""

    split: str
    digest: str
    metrics: Mapping[str, float]


def of_training(manifest: Manifest) -> list[Measured]:
    """The metrics of a trained model on its validation and test files; none if it is not the result of a training."""
    if losses := manifest.counts.get(_LOSSES):
        return [Measured("valid", manifest.inputs["valid"], {"masked_lm_loss": min(losses.values())})]
    return _of_tables(manifest)


def of_export(manifest: Manifest, unchanged: bool) -> list[Measured]:
    """The metrics of an export, as they were measured for its loss.

    If they were not and it is ``unchanged``, those of the model that was exported.
    """
    if scores := manifest.counts.get("scores"):
        return [Measured("valid", manifest.inputs["valid"], {name: own for name, (_, own) in scores.items()})]
    return _of_tables(exported(manifest)) if unchanged else []


def exported(manifest: Manifest) -> Manifest:
    """The manifest of the model that was exported; ``manifest`` itself if it is of no export or has none."""
    return next((found for name, found in manifest.parents().items() if name == "model"), manifest)


def of_seeds(manifest: Manifest, split: str) -> dict[str, dict[str, float]]:
    """The metrics of each of several random seeds."""
    seeds: Mapping[str, Mapping[str, Any]] = manifest.counts.get("seeds", {})
    return {seed: _of_split(counts, split) for seed, counts in seeds.items()}


def _of_tables(manifest: Manifest) -> list[Measured]:
    found = [(split, _of_split(manifest.counts, split)) for split in HELD_OUT]
    return [Measured(split, manifest.inputs[split], metrics) for split, metrics in found if metrics]


def _of_split(counts: Mapping[str, Any], split: str) -> dict[str, float]:
    prefix = f"{split}_"
    return {
        name.removeprefix(prefix): value
        for name, value in counts.items()
        if name.startswith(prefix) and isinstance(value, float)
    }
