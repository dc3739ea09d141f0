"""The training half of the task piece_kinds, whose serving half is ``piece_kinds.py``: a head that fairseq lacks.

A table has a text and, for each of its characters, the first letter of a kind; a piece is of the kind of its last
character.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, Finetuning, Loss, Prepared, TaskHead
from focus_plugin.finetuning.tables import read_table
from focus_plugin.options import option


@dataclass(frozen=True, kw_only=True)
class Columns:
    text_column: str = option("text", help="Column with the texts.")
    kinds_column: str = option("kinds", help="Column with the kinds of their characters.")


def examples(path, columns, progress) -> Iterator[Example]:
    for line, (text, kinds) in read_table(path, (columns.text_column, columns.kinds_column), progress):
        if len(text) != len(kinds):
            raise FocusError(f"{path}, line {line}: {len(text)} characters, but {len(kinds)} kinds.")
        yield Example(line, text, kinds)


def prepare(given):
    import numpy as np
    from piece_kinds import OVERLAP, PieceKinds

    from focus_plugin.finetuning.samples import IGNORED, TrainingSample, write_samples

    head = PieceKinds(("heavy", "light"))
    step = given.max_positions - 2 - OVERLAP

    def samples(example, encoded):
        _, pieces = encoded.context
        kinds = [float(example.expected[max(end - 1, 0)] == "l") for end in pieces.ends]
        for number, row in enumerate(encoded.rows):
            own = kinds[number * step :][: len(row) - 2]
            yield TrainingSample([row], np.array([IGNORED, *own, IGNORED]))

    counts = {split: write_samples(given, split, head, samples) for split in given.tables}
    (given.directory / "note.txt").write_text("nothing was left out\n")
    return Prepared(head=head, samples=counts["train"], counts={"rows": counts}, files=("note.txt",))


def module(head, width):
    from torch import nn

    return nn.ModuleDict({"dropout": nn.Dropout(0.1), "kinds": nn.Linear(width, len(head.kinds))})


def forward(given):
    return {"kinds": given.module["kinds"](given.module["dropout"](given.hidden))}


def loss(given):
    from torch.nn.functional import cross_entropy

    from focus_plugin.finetuning.samples import IGNORED

    scores, expected = given.outputs[0]["kinds"].flatten(0, 1), given.expected.flatten().long()
    total = cross_entropy(scores, expected, ignore_index=IGNORED, reduction="sum")
    return Loss(total=total * given.settings["factor"], count=int((expected != IGNORED).sum()))


def register():
    from fairseq.criterions import register_criterion

    from focus_plugin.tasks.focus_heads import FocusHeadsCriterion, FocusHeadsCriterionConfig

    @register_criterion("piece_kinds", dataclass=FocusHeadsCriterionConfig)
    class PieceKindsCriterion(FocusHeadsCriterion):
        """One that only this package knows."""


def fairseq_options(head, options):
    return ("--task", "focus_heads", "--criterion", "piece_kinds", "--loss-settings", '{"factor": 0.5}')


def metrics(expected, results):
    pairs = [
        (kinds[max(piece["end"] - 1, 0)], piece["kind"][0])
        for kinds, pieces in zip(expected, results, strict=True)
        for piece in pieces
    ]
    return {"accuracy": sum(one == other for one, other in pairs) / len(pairs)}


def adjust(head, expected, results):
    """A margin that depends on how many results of the validation table are as expected."""
    return replace(head, margin=metrics(expected, results)["accuracy"])


HEAD = TaskHead(
    name="piece_kinds",
    summary="Tell the kind of each piece.",
    columns=Columns,
    examples=examples,
    metrics=metrics,
    module=module,
    forward=forward,
    finetuning=Finetuning(
        prepare=prepare, fairseq_options=fairseq_options, loss=loss, register=register, adjust=adjust
    ),
)
