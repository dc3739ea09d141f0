"""A head whose results differ in size: each piece of a text with its place, its score and the better of two kinds.

The longest texts are read in parts that overlap by two pieces. It is what a package of somebody else would hold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import LENGTH, Encoded, HuggingFaceHead, Output, ServingHead

from focus_plugin.errors import FocusError

if TYPE_CHECKING:
    import numpy as np
    from focus_export.nodes import Nodes
    from focus_export.tokenizer import TextTokenizer

OVERLAP = 2


@dataclass(frozen=True)
class PieceKinds(ServingHead):
    """kinds: the names of the two. margin: by which the score of the second has to be higher."""

    name: ClassVar[str] = "piece_kinds"
    columns: ClassVar[tuple[str, ...]] = ("pieces",)

    kinds: tuple[str, ...]
    margin: float = 0.0

    def outputs(self, width: int) -> tuple[Output, ...]:
        return (Output("kinds", (LENGTH, len(self.kinds))),)

    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        nodes.linear(hidden, "head.kinds", len(self.kinds), width, output="kinds")

    def encode(self, tokenizer: "TextTokenizer", sample: str, truncate: bool) -> Encoded:
        pieces = tokenizer.pieces(sample)
        room = tokenizer.max_positions - 2
        starts = range(0, max(1, len(pieces.ids) - OVERLAP), room - OVERLAP)
        rows = tuple(tokenizer.row(pieces.ids[start : start + room], False) for start in starts)
        return Encoded(rows, (sample, pieces))

    def result(self, encoded: Encoded, outputs: "Sequence[Mapping[str, np.ndarray]]") -> Any:
        """Of an overlap, each part says the half that is nearer to its middle."""
        import numpy as np

        _, pieces = encoded.context
        parts = [part["kinds"][1:-1] for part in outputs]
        cut = OVERLAP // 2
        kept = [
            part[0 if i == 0 else cut : None if i == len(parts) - 1 else len(part) - (OVERLAP - cut)]
            for i, part in enumerate(parts)
        ]
        scores = np.concatenate(kept)
        assert len(scores) == len(pieces.ids)
        second = scores[:, 1] - scores[:, 0] > self.margin
        return [
            {"start": int(start), "end": int(end), "kind": self.kinds[best], "score": float(row[best])}
            for start, end, row, best in zip(pieces.starts, pieces.ends, scores, second.astype(int), strict=True)
        ]

    def record(self, result: Any) -> dict[str, Any]:
        return {"pieces": result}

    def lines(self) -> dict[str, Callable[[Any], str]]:
        return {"tsv": _rows}

    def parquet(self, arrow: Any, width: int) -> Any:
        fields = {"start": arrow.int32(), "end": arrow.int32(), "kind": arrow.string(), "score": arrow.float32()}
        return arrow.schema({"pieces": arrow.list_(arrow.struct(list(fields.items())))})

    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        raise FocusError("transformers has no head for kinds of pieces.")


def _rows(result: Any) -> str:
    """How many pieces there are, and a line for each."""
    return f"{len(result)}\n" + "".join(f"{piece['start']}\t{piece['kind']}\n" for piece in result)


HEAD = PieceKinds
