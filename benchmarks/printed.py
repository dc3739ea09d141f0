"""Figures in what a command printed."""

import re

LOSS = r"loss ([\d.]+) nats"


def figure(pattern: str, told: str) -> str:
    """The group of ``pattern`` in ``told``, what a command printed. Stops the program if it is not there."""
    found = re.search(pattern, told)
    if found is None:
        raise SystemExit(f"No {pattern} in this output:\n{told}")
    return found[1]
