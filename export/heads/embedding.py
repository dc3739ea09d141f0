"""One vector for each text: the mean of its tokens' hidden states, or the hidden state of the first token."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import HuggingFaceHead, Output, RowHead

from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np
    from focus_export.nodes import Nodes

POOLINGS = ("mean", "first")
# The names in sentence-transformers, which uses the mean unless its setting is false.
_MODES = {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token"}


@dataclass(frozen=True)
class EmbeddingHead(RowHead):
    """pooling: "mean" of the hidden states of all tokens, or the hidden state of the "first" one."""

    name: ClassVar[str] = "embedding"
    columns: ClassVar[tuple[str, ...]] = ("embedding",)
    row_name: ClassVar[str] = "embedding"
    for_encoder: ClassVar[bool] = True

    pooling: str = option(
        "mean", choices=POOLINGS, help="Embedding of an encoder: the mean of all tokens, or the first."
    )

    def fault(self) -> str | None:
        """A sentence if the pooling is unknown."""
        return None if self.pooling in POOLINGS else f'"pooling" is {self.pooling!r}, not one of {", ".join(POOLINGS)}'

    @property
    def first_token_only(self) -> bool:
        """Unless it is the mean."""
        return self.pooling == "first"

    def outputs(self, width: int) -> tuple[Output, ...]:
        """``embedding`` (width)."""
        return (Output("embedding", (width,)),)

    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """The pooling."""
        if self.pooling == "first":
            nodes.first_token(hidden, output="embedding")
        else:
            nodes.mean(hidden, output="embedding")

    def results(self, rows: "np.ndarray") -> "Iterator[np.ndarray]":
        """Each row, float32 (width,)."""
        return iter(rows)

    def record(self, result: "np.ndarray") -> dict[str, Any]:
        """``embedding``."""
        return {"embedding": result.tolist()}

    def table(self, results: "np.ndarray") -> "dict[str, np.ndarray]":
        """``embedding`` float32 (samples, width)."""
        return {"embedding": results}

    def parquet(self, arrow: Any, width: int) -> Any:
        """A list of fixed size."""
        return arrow.schema({"embedding": arrow.list_(arrow.float32(), width)})

    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """XLMRobertaForMaskedLM, and the files with the pooling for sentence-transformers."""
        modules = (("", "Transformer"), ("1_Pooling", "Pooling"))
        listed = [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
            for index, (path, name) in enumerate(modules)
        ]
        modes = {key: mode == self.pooling for mode, key in _MODES.items()}
        return HuggingFaceHead(
            architecture="MaskedLM",
            masked_lm=True,
            files={
                "modules.json": listed,
                "sentence_bert_config.json": {"max_seq_length": max_positions, "do_lower_case": False},
                "1_Pooling/config.json": {"word_embedding_dimension": width, **modes},
            },
        )


HEAD = EmbeddingHead
