"""Writes the report of a conversion as one HTML file that loads no other file."""

import json
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from focus_plugin.files import whole_file
from focus_plugin.manifest import Manifest
from focus_plugin.report.figures import figures
from focus_plugin.report.parts import head, part
from focus_plugin.report.sentences import summary, warnings
from focus_plugin.report.tokens import tokens
from focus_plugin.transfer.origins import Origins
from focus_plugin.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Report:
    """The content of a report.

    uses: shape (target,), int64, how often each target token occurs in the corpus, or, if the manifest has no corpus,
    in the text that the vocabulary was made from; None if that is unknown. manifest: the manifest of the conversion;
    the tokens per word are in its counts. fill: how the rows that the method did not make were filled, in words.
    convex: whether no weight is negative and the weights of each token sum to 1.
    """

    title: str
    origins: Origins
    source: Vocabulary
    target: Vocabulary
    uses: np.ndarray | None
    manifest: Manifest
    fill: str
    convex: bool = True


def write_report(path: str | Path, report: Report) -> None:
    """Write the report of one conversion to ``path``; the same input gives the same bytes."""
    origins, target, manifest = report.origins, report.target, report.manifest
    text = "the corpus" if "corpus" in manifest.inputs else "the text the vocabulary was made from"
    drawn = figures(origins, target, report.uses, manifest.counts, text)
    data = {
        "figures": asdict(drawn),
        "tokens": vars(tokens(origins, report.source, target, report.uses)),  # asdict would copy every list
        "made": {"options": manifest.options, "inputs": manifest.inputs, "versions": manifest.made_by},
        "convex": report.convex,
    }
    program = part("page.js")
    page = Template(part("page.html")).substitute(
        head=head(report.title, part("page.css"), program),
        title=escape(report.title),
        summary=escape(" ".join(summary(drawn, report.fill, report.convex))),
        warnings="\n".join(f"<p>{escape(warning)}</p>" for warning in warnings(drawn)),
        program=program,
        data=_embedded(data),
    )
    with whole_file(path) as temporary:
        # A byte-level tokenizer's file can contain a lone surrogate. It is written as a JSON escape.
        temporary.write_bytes(page.encode("utf-8", "backslashreplace"))


def _embedded(data: object) -> str:
    """``data`` as JSON that is safe inside a script element, whatever its strings contain."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
