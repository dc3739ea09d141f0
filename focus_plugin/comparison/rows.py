"""The finished runs of a comparison: a file with one run a line, which only grows."""

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from focus_plugin.comparison.plan import Run
from focus_plugin.errors import FocusError
from focus_plugin.files import parse_json

_LARGEST = 1 << 53  # more tokens than any text has


@dataclass(frozen=True, kw_only=True)
class Row:
    """A finished run.

    start, recipe, seed: which run. updates, tokens: of the training. curve: the losses that the training logged, in
    nats, by update. before, loss: the loss that the evaluation found before and after the training. sums, predictions:
    the same after the training for each block of the text, see ``blocks``. conversion_seconds: None if unknown.
    training_seconds: of all updates. kept: whether the trained encoder stays. made_of: the options and digests that the
    result depends on, besides those in ``focus.json``. words: the options of start and recipe as the user wrote them.
    """

    start: str
    recipe: str
    seed: int
    updates: int
    tokens: int
    curve: Mapping[str, float]
    before: float
    loss: float
    sums: list[float]
    predictions: list[int]
    conversion_seconds: float | None
    training_seconds: float
    kept: bool
    made_of: Mapping[str, Any]
    words: Mapping[str, str]

    @property
    def run(self) -> Run:
        """Which run it is."""
        return Run(start=self.start, recipe=self.recipe, seed=self.seed)


class RowsFile:
    """The rows in an open file, in the order in which they were written."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file, self._end = path, file, 0
        self.rows: list[Row] = []
        self._read()

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns."""
        line = json.dumps(asdict(row), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        self._file.truncate(self._end)
        self._file.write(line)
        self._file.flush()
        self._end += len(line)
        os.fsync(self._file.fileno())
        self.rows.append(row)

    def require_same(self, part: str, name: str, made_of: object) -> None:
        """Raise FocusError if an earlier run of this start or recipe (``part``) was made of anything else."""
        for number, row in enumerate(self.rows, 1):
            if getattr(row, part) == name and row.made_of[part] != json.loads(json.dumps(made_of)):
                raise FocusError(
                    f"{self._path}, line {number}: is a run of another {part} with the name {name}; give the present "
                    f"one another name, or choose another --output."
                )

    def _read(self) -> None:
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            if line.endswith(b"\n"):  # a command that was killed can leave half a line
                row = self._parsed(line, number)
                self._require_same_text(row, number)
                self.rows.append(row)
                self._end += len(line)

    def _require_same_text(self, row: Row, number: int) -> None:
        if self.rows and row.predictions != self.rows[0].predictions:
            raise FocusError(
                f"{self._path}, line {number}: is a run that was measured on another text than that of line 1; remove "
                "one of the lines."
            )

    def _parsed(self, line: bytes, number: int) -> Row:
        try:
            return _checked(Row(**parse_json(line)))
        except (ValueError, TypeError) as error:
            raise FocusError(
                f"{self._path}, line {number}: is not a run of a comparison ({error}); remove the line."
            ) from error


_KINDS: dict[str, Any] = {
    **dict.fromkeys(("start", "recipe"), str),
    **dict.fromkeys(("seed", "updates", "tokens"), int),
    **dict.fromkeys(("before", "loss", "training_seconds"), int | float),
    **dict.fromkeys(("curve", "made_of", "words"), dict),
    **dict.fromkeys(("sums", "predictions"), list),
    "conversion_seconds": int | float | None,
    "kept": bool,
}


def _checked(row: Row) -> Row:
    """``row`` itself. Raises TypeError if a value is not of its type, and ValueError for one that is impossible."""
    if wrong := [name for name, kind in _KINDS.items() if not isinstance(getattr(row, name), kind)]:
        raise TypeError(f"{wrong[0]} is {getattr(row, wrong[0])!r}")
    losses = [row.before, row.loss, *row.curve.values(), *row.sums]
    if not all(isinstance(loss, int | float) and math.isfinite(loss) for loss in losses):
        raise TypeError("a loss is not a finite number")
    if not all(isinstance(count, int) and 0 <= count < _LARGEST for count in (*row.predictions, row.tokens)):
        raise TypeError("a number of tokens is impossible")
    if len(row.sums) != len(row.predictions) or not any(row.predictions):
        raise ValueError("sums and predictions do not fit together")
    if not row.curve or not all(update.isdecimal() for update in row.curve):
        raise ValueError("the names in curve are no numbers of updates")
    if not {"start", "recipe"} <= row.made_of.keys() or not {"start", "recipe"} <= row.words.keys():
        raise ValueError("made_of or words lacks start or recipe")
    return row


@contextmanager
def open_rows(path: Path) -> Iterator[RowsFile]:
    """The rows in ``path``, a file that is created if it is missing and that no other process opens meanwhile.

    Raises FocusError if another process has it open, or if a line is no row.
    """
    with open(path, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FocusError(
                f"{path.parent}: a comparison is still running here; wait for it, or end it first."
            ) from error
        yield RowsFile(path, file)
