"""The metadata of a model card, in the form of ``ModelCardData`` of huggingface_hub."""

from collections.abc import Sequence
from typing import Any

from focus_plugin.manifest import Manifest
from focus_plugin.model_card.metrics import Measured
from focus_plugin.model_card.use import Use

PROGRAM = "focus-fairseq"
_REVISION = "source_revision"  # in counts: NAME@COMMIT on the Hub


def metadata(manifest: Manifest, use: Use, measured: Sequence[Measured]) -> dict[str, Any]:
    """The metadata. What the manifests do not tell, such as a license, is left out."""
    known = [*manifest.history(), manifest]
    revisions = [str(entry.counts[_REVISION]) for entry in known if _REVISION in entry.counts]
    methods = [str(entry.options["method"]) for entry in known if "method" in entry.options]
    found: dict[str, Any] = {}
    if revisions:
        found["base_model"] = revisions[0].partition("@")[0]
    if use.pipeline_tag:
        found["pipeline_tag"] = use.pipeline_tag
    found |= {"library_name": use.library, "tags": [PROGRAM, *dict.fromkeys(methods)]}
    if measured and use.pipeline_tag:
        task = {"type": use.pipeline_tag}
        found["model-index"] = [
            {"name": manifest.kind, "results": [{"task": task, **_result(entry)} for entry in measured]}
        ]
    return found


def _result(measured: Measured) -> dict[str, Any]:
    """A result; the revision of a data set, which has no name, is the SHA-256 of its file."""
    dataset = {"name": f"{measured.split} file", "type": "file", "split": measured.split, "revision": measured.digest}
    metrics = [{"type": name, "value": value, "name": name} for name, value in measured.metrics.items()]
    return {"dataset": dataset, "metrics": metrics}
