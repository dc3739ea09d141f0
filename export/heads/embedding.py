"""One vector for each text: the mean of its tokens' hidden states, or the hidden state of the first token."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import HeadCard, HuggingFaceHead, Output, RowHead

from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np
    from focus_export.nodes import Nodes

POOLINGS = ("mean", "first")
# The names in sentence-transformers, which uses the mean unless its setting is false.
_MODES = {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token"}


@dataclass(frozen=True)
class EmbeddingHead(RowHead):
    """pooling: "mean" of the hidden states of all tokens, or the hidden state of the "first" one.

    dimensions: the number of values of an embedding, the first ones; None for all. layers: the number of the encoder's
    layers that are computed; None for all. nested_dimensions, nested_layers: those that the model was trained for,
    besides all.
    """

    name: ClassVar[str] = "embedding"
    columns: ClassVar[tuple[str, ...]] = ("embedding",)
    row_name: ClassVar[str] = "embedding"
    for_encoder: ClassVar[bool] = True
    card: ClassVar[HeadCard] = HeadCard(
        pipeline_tag="sentence-similarity",
        hugging_face="""from sentence_transformers import SentenceTransformer

model = SentenceTransformer('.')
vectors = model.encode(['This is a text.', 'This is another.'])
print(model.similarity(vectors, vectors))""",
    )

    pooling: str = option(
        "mean", choices=POOLINGS, help="Embedding of an encoder: the mean of all tokens, or the first."
    )
    dimensions: int | None = option(None, minimum=1, help="Embedding: only its first values, this many.")
    layers: int | None = option(None, minimum=1, help="Embedding: only the encoder's first layers, this many.")
    nested_dimensions: tuple[int, ...] = ()
    nested_layers: tuple[int, ...] = ()

    def fault(self) -> str | None:
        """A sentence if the pooling is unknown, or if a number of dimensions or layers is none."""
        if self.pooling not in POOLINGS:
            return f'"pooling" is {self.pooling!r}, not one of {", ".join(POOLINGS)}'
        for name in ("dimensions", "layers"):
            value, nested = getattr(self, name), getattr(self, f"nested_{name}")
            if value is not None and not _is_count(value):
                return f'"{name}" is {value!r}, not a number from 1 on'
            if not isinstance(nested, tuple) or not all(map(_is_count, nested)) or len(set(nested)) < len(nested):
                return f'"nested_{name}" is {nested!r}, not different numbers from 1 on'
        return None

    def misfit(self, width: int, layers: int) -> str | None:
        """A sentence if there are fewer dimensions or layers than the fields say."""
        for name, size in (("dimensions", width), ("layers", layers)):
            value, nested = getattr(self, name), getattr(self, f"nested_{name}")
            if value is not None and value > size:
                return f"has {size} {name}, not {value}"
            if any(number >= size for number in nested):
                return f"has {size} {name}; those nested in it must be fewer, not {max(nested)}"
        return None

    @property
    def encoder_layers(self) -> int | None:
        """``layers``."""
        return self.layers

    @property
    def first_token_only(self) -> bool:
        """Unless it is the mean."""
        return self.pooling == "first"

    def outputs(self, width: int) -> tuple[Output, ...]:
        """``embedding`` (width)."""
        return (Output("embedding", (self.dimensions or width,)),)

    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """The pooling, and the first values of its result."""
        pool, name = nodes.first_token if self.pooling == "first" else nodes.mean, "embedding"
        pooled = pool(hidden, output="pooled" if self.dimensions else name)
        if self.dimensions:
            nodes.narrowed(pooled, self.dimensions, output=name)

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
        return arrow.schema({"embedding": arrow.list_(arrow.float32(), self.size(width))})

    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """XLMRobertaForMaskedLM, and the files with the pooling for sentence-transformers."""
        modules = (("", "Transformer"), ("1_Pooling", "Pooling"))
        listed = [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
            for index, (path, name) in enumerate(modules)
        ]
        cut = {"truncate_dim": self.dimensions} if self.dimensions else {}
        modes = {key: mode == self.pooling for mode, key in _MODES.items()}
        return HuggingFaceHead(
            architecture="MaskedLM",
            masked_lm=True,
            files={
                "modules.json": listed,
                "config_sentence_transformers.json": {"similarity_fn_name": "cosine", **cut},
                "sentence_bert_config.json": {"max_seq_length": max_positions, "do_lower_case": False},
                "1_Pooling/config.json": {"word_embedding_dimension": width, **modes},
            },
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


HEAD = EmbeddingHead
