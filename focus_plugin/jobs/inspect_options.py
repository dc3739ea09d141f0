"""The options of ``focus inspect``."""

from dataclasses import dataclass
from pathlib import Path

from focus_plugin.options import option


@dataclass(frozen=True, kw_only=True)
class ComparedTexts:
    """Texts or tables to compare; names of files or patterns, see ``Text``."""

    train: tuple[Path, ...] = option(
        (),
        help="Instead of a directory: text to train on, to compare with --valid and --test. A file or a pattern; may "
        "be given several times.",
    )
    valid: tuple[Path, ...] = option((), help="Text to validate on, given as --train is.")
    test: tuple[Path, ...] = option((), help="Text to test on, given as --train is.")
    text_column: str | None = option(
        None, help="Compare the cells of this column of tab-separated tables with a header, instead of lines."
    )
