"""Training text of several languages: which files are of which, and how often each language is read."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, silent
from focus_plugin.masked_lm.data import Readable
from focus_plugin.text import Text

_NAMED = re.compile(r"([A-Za-z][\w-]*)=(.+)", re.DOTALL)


def named_texts(names: Sequence[Path]) -> dict[str, Text]:
    """The text of each language in the order of their first file; one text with the name "" if none is named.

    A name is a file or a pattern, or a language, an equals sign and one of these. Raises FocusError if only some are of
    a named language.
    """
    parts: dict[str, list[str]] = {}
    for name in map(str, names):
        found = None if Path(name).exists() else _NAMED.fullmatch(name)
        language, file = found.groups() if found else ("", name)
        parts.setdefault(language, []).append(file)
    if "" in parts and len(parts) > 1:
        raise FocusError(f"{parts[''][0]}: has no language, but others have; write it as LANGUAGE={parts[''][0]}.")
    return {language: Text.of(*files) for language, files in parts.items()}


def times_read(texts: Mapping[str, Text], alpha: float) -> dict[str, float]:
    """How many times the text of each language is read, at least once.

    The language's share of what is read is proportional to the size of its text, in bytes, to the power of ``alpha``
    (Conneau & Lample, Cross-lingual Language Model Pretraining, NeurIPS 2019, section 3.1). The language whose share
    grows least is read once.
    """
    weights = {language: max(1, text.content().bytes) ** (alpha - 1) for language, text in texts.items()}
    least = min(weights.values())
    return {language: weight / least for language, weight in weights.items()}


@dataclass(frozen=True)
class Repeated:
    """Texts one after the other, each of which is read a number of times; the last time, a share of its lines."""

    texts: tuple[tuple[Readable, float], ...]

    def __str__(self) -> str:
        return ", ".join(str(text) for text, _ in self.texts)

    def lines(self, progress: Progress = silent) -> Iterator[str]:
        """The lines of all texts. A share of a text is spread evenly over it, and blank lines belong to each share."""
        for text, times in self.texts:
            for done in range(math.ceil(times)):
                share = min(1.0, times - done)
                for number, line in enumerate(text.lines(progress)):
                    if share == 1 or int((number + 1) * share) > int(number * share) or not line.strip():
                        yield line
