"""The sentences of the report: its summary and its warnings."""

from focus_plugin.report.figures import Figures, Kinds

MANY_ANCHORS = 1000  # mixtures on real text have 20 to 150 on average
LARGE_SHARE = 0.5  # of the anchors
MANY_FILLED = 0.25  # of the vocabulary


def summary(figures: Figures, fill: str, convex: bool = True) -> list[str]:
    """How the rows of the vocabulary were made, and what that means for the text.

    ``fill``, ``convex``: see ``Report``.
    """
    rows, text, words = figures.vocabulary, figures.text, figures.tokens_per_word
    mean = f" of {figures.mean_support:,.0f} tokens on average" if rows.mixed else ""
    learned = f" {_part(rows.learned, rows.total)} were learned by the method," if rows.learned else ""
    said = [
        f"Of the {rows.total:,} tokens of the new vocabulary, {_part(rows.copied, rows.total)} are also in the "
        f"source's vocabulary and keep their embeddings, {_part(rows.mixed, rows.total)} are mixtures{mean},{learned} "
        f"and {_part(rows.filled, rows.total)} were filled ({fill})."
    ]
    if rows.mixed and not convex:
        said.append("The weights of a mixture can be negative and need not sum to 1.")
    if text and text.total:
        said.append(f"Of the tokens of {text.label}, {_shares(text)}.")
    if words:
        change = words.after / words.before - 1
        said.append(
            f"A word has {words.after:.2f} tokens on average instead of {words.before:.2f}, so texts are "
            f"{abs(change) * 100:.0f} % {'longer' if change > 0 else 'shorter'}."
        )
    return said


def warnings(figures: Figures) -> list[str]:
    """Problems that the reader must know of before using the encoder; an empty list if there are none."""
    return [*_flat(figures), *_unknown(figures)]


def _flat(figures: Figures) -> list[str]:
    mean, anchors = figures.mean_support, figures.anchors
    if not figures.similarities or mean < min(MANY_ANCHORS, LARGE_SHARE * anchors):
        return []
    return [
        f"Mixtures are dense: a mixture has {mean:,.0f} of {anchors:,} possible anchors on average, so it can be close "
        "to the mean of all. If the method does not choose this, the auxiliary embeddings of different tokens are "
        "almost equal; train them on more text."
    ]


def _unknown(figures: Figures) -> list[str]:
    rows, text = figures.vocabulary, figures.text
    if not rows.mixed and not rows.learned:
        return ["The method made no embeddings. All tokens that are not in the source's vocabulary were filled."]
    if rows.filled < MANY_FILLED * rows.total:
        return []
    share = f" ({_percent(text.filled, text.total)} of the tokens of {text.label})" if text and text.total else ""
    if not figures.similarities:
        return [f"The method made nothing for {_part(rows.filled, rows.total)} of the tokens{share}; they were filled."]
    return [
        f"{_part(rows.filled, rows.total)} of the tokens{share} had no auxiliary embedding, mostly because they are "
        "too rare in the text. Give more text, lower --min-count, or use a smaller vocabulary."
    ]


def _shares(kinds: Kinds) -> str:
    named = [("copied", kinds.copied), ("mixed", kinds.mixed), ("filled", kinds.filled)]
    if kinds.learned:
        named.append(("learned", kinds.learned))
    return ", ".join(f"{_percent(count, kinds.total)} are {name}" for name, count in named)


def _part(count: int, total: int) -> str:
    return f"{count:,} ({_percent(count, total)})"


def _percent(count: int, total: int) -> str:
    return f"{count / total * 100:.1f} %"
