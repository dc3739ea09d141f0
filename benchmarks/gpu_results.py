"""What the steps of `scripts/gpu` found: a file of JSON Lines, from which the tables are made."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a job works. directory: for results, logs and files that jobs share. small: sizes for a test on a CPU."""

    directory: Path
    small: bool = False

    @property
    def device(self) -> str:
        """As torch names it."""
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def work(self) -> Path:
        """The directory of files that jobs make and share."""
        return self.directory / "work"


@dataclass(frozen=True)
class Job:
    """One thing to check or to measure.

    name: unique. table: the heading of the table that its rows belong to. run: gives the rows; none if this machine
    cannot do the job. pivot: the columns of the results, from which the table has a row for each value of the first
    and a column for each value of the second, with the third in its cells; without it, a row is a row.
    """

    name: str
    table: str
    run: Callable[[Place], Iterable[Row]]
    pivot: tuple[str, str, str] | None = None


def read(place: Place) -> dict[str, list[Row]]:
    """The rows of every finished job, by its name."""
    path = place.directory / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {found["job"]: found["rows"] for found in map(json.loads, lines)}


def add(place: Place, job: Job, rows: list[Row]) -> None:
    """Write the rows of a finished job."""
    with open(place.directory / "results.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"job": job.name, "rows": rows}, ensure_ascii=False) + "\n")


def tables(jobs: Iterable[Job], found: dict[str, list[Row]]) -> Iterator[str]:
    """Markdown: a heading and a table for each one that has rows."""
    grouped: dict[str, tuple[Job, list[Row]]] = {}
    for job in jobs:
        grouped.setdefault(job.table, (job, []))[1].extend(found.get(job.name, []))
    for heading, (job, rows) in grouped.items():
        if rows:
            yield f"**{heading}**\n\n{table(pivoted(rows, *job.pivot) if job.pivot else rows)}\n"


def pivoted(rows: list[Row], first: str, columns: str, value: str) -> list[Row]:
    """A row for each value of ``first``, with a column for each value of ``columns``."""
    names = dict.fromkeys(row[columns] for row in rows)
    lines: dict[Any, Row] = {}
    for row in rows:
        lines.setdefault(row[first], {first: row[first], **dict.fromkeys(names, "")})[row[columns]] = row[value]
    return list(lines.values())


def table(rows: list[Row]) -> str:
    """Markdown; numbers are aligned to the right."""
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in rows[0].values()]
    lines = [" | ".join(rows[0]), " | ".join("---:" if number else "---" for number in numbers)]
    lines += [" | ".join(map(cell, row.values())) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def cell(value: Any) -> str:
    """A value as a reader wants it."""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
