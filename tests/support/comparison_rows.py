"""Rows of a comparison that nobody has trained."""

from focus_plugin.comparison.rows import Row


def make_row(
    start: str = "focus", recipe: str = "adapt", seed: int = 1, loss: float = 5.0, blocks: tuple[float, ...] = (1, 1)
) -> Row:
    """A row whose blocks of ten predictions each have ``loss`` times ``blocks`` as their mean loss."""
    return Row(
        start=start,
        recipe=recipe,
        seed=seed,
        updates=30,
        tokens=1000,
        curve={"10": loss + 0.5, "20": loss + 0.2, "30": loss},
        before=loss + 1,
        loss=loss,
        sums=[10 * loss * block for block in blocks],
        predictions=[10] * len(blocks),
        conversion_seconds=2.0,
        training_seconds=10.0,
        kept=False,
        made_of={"start": {}, "recipe": {}, "made_by": {}},
        words={"start": "--corpus sw.txt", "recipe": ""},
    )
