"""The baseline: copied rows and random rows."""

from typing import TYPE_CHECKING

from focus_plugin.mixing.declaration import Given, Method
from focus_plugin.mixing.matching import MatchingOptions, overlapping

if TYPE_CHECKING:
    from focus_plugin.mixing.mixing import Mixing


def random(given: Given) -> "Mixing":
    """A mixing matrix with copies of the overlapping tokens and no mixtures."""
    from focus_plugin.mixing.mixing import Mixing

    return Mixing(overlapping(given))


METHOD = Method(
    name="random",
    summary="The baseline: overlapping tokens keep their rows, and all others are filled.",
    make=random,
    options=MatchingOptions,
)
