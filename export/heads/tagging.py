"""A tag for each word of a text, and the entities that the tags form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from focus_export.head import LENGTH, Encoded, HeadCard, HuggingFaceHead, Output, ServingHead

from focus_plugin.options import option

if TYPE_CHECKING:
    import numpy as np
    from focus_export.nodes import Nodes
    from focus_export.piece_windows import PieceWindow
    from focus_export.tokenizer import TextTokenizer
    from focus_export.word_splitter import WordSplitter

AGGREGATIONS = ("first", "average", "max")
WORD_CUTS = ("as-trained", "spaces")


class TaggedWord(NamedTuple):
    """A word: the original text from ``start`` to ``end``, in characters. score: the probability of the tag."""

    text: str
    start: int
    end: int
    tag: str
    score: float


class TaggedEntity(NamedTuple):
    """An entity: the original text from ``start`` to ``end``. score: the mean of the scores of its words."""

    type: str
    start: int
    end: int
    text: str
    score: float


class Tagging(NamedTuple):
    """The result for a text. Plain tags, such as parts of speech, form no entities."""

    tokens: tuple[TaggedWord, ...]
    entities: tuple[TaggedEntity, ...]


@dataclass(frozen=True)
class WordPieces:
    """The words of a text and their pieces.

    spans: start and end of each word in ``text``. first_pieces: the number of the first piece of each word.
    """

    text: str
    spans: Sequence[tuple[int, int]]
    first_pieces: Sequence[int]
    windows: "Sequence[PieceWindow]"


@dataclass(frozen=True)
class TaggingHead(ServingHead):
    """A linear layer on all tokens.

    A sample is a raw text or a sequence of words; the offsets of words are those in ``" ".join(words)``.

    tags: in the order of the scores. joined, whole: how raw text is cut into words, see WordSplitter.
    """

    name: ClassVar[str] = "tagging"
    modules: ClassVar[tuple[str, ...]] = (
        "focus_export.entities",
        "focus_export.piece_windows",
        "focus_export.word_splitter",
    )
    card: ClassVar[HeadCard] = HeadCard(
        pipeline_tag="token-classification",
        hugging_face="""from transformers import pipeline

print(pipeline('token-classification', '.', aggregation_strategy='simple')('This is a text.'))""",
    )

    tags: tuple[str, ...]
    joined: tuple[str, ...]
    whole: tuple[str, ...]
    aggregation: str = option(
        "first",
        choices=AGGREGATIONS,
        help="Tagging: the scores of a word are those of its first piece, the average or the largest of its pieces.",
    )
    words: str = option(
        "as-trained",
        choices=WORD_CUTS,
        help="Tagging: cut raw text into words as the training data was, or only at white space.",
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """``tokens``, and ``entities`` if the tags form them."""
        from focus_export.entities import is_entity_tagset

        return ("tokens", "entities") if is_entity_tagset(self.tags) else ("tokens",)

    def fault(self) -> str | None:
        """A sentence if the fields are not those of a tagger."""
        from focus_export.word_splitter import PLACES

        for name in ("tags", "joined", "whole"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or not all(isinstance(entry, str) for entry in value):
                return f'"{name}" is not a list of strings'
        if not self.tags or not all(self.tags) or len(set(self.tags)) != len(self.tags):
            return '"tags" has no tag, an empty one, or one twice'
        if len(self.joined) != len(PLACES) or not all(self.whole):
            return f'"joined" has not {len(PLACES)} strings, or "whole" an empty word'
        for name, known in (("aggregation", AGGREGATIONS), ("words", WORD_CUTS)):
            if getattr(self, name) not in known:
                return f'"{name}" is {getattr(self, name)!r}, not one of {", ".join(known)}'
        return None

    def outputs(self, width: int) -> tuple[Output, ...]:
        """``tags`` (length, tags), the scores of the tags before softmax."""
        return (Output("tags", (LENGTH, len(self.tags))),)

    def add_nodes(self, nodes: "Nodes", hidden: str, width: int) -> None:
        """A linear layer."""
        nodes.linear(hidden, "head.tags", len(self.tags), width, output="tags")

    @cached_property
    def splitter(self) -> "WordSplitter":
        """Cuts raw text into words."""
        from focus_export.word_splitter import WordSplitter

        return WordSplitter(self.joined, self.whole)

    def encode(self, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> Encoded:
        """Rows of whole words, which overlap if the text is longer than the model reads; nothing is cut off.

        Each word is cut into pieces by itself, as words of a table are. A word without a piece, such as one of control
        characters, is ``<unk>``. ``context``: WordPieces.
        """
        import numpy as np
        from focus_export.piece_windows import piece_windows

        text, spans = self._words(sample)
        pieces = [tokenizer.word(text[start:end]) for start, end in spans]
        sizes = list(map(len, pieces))
        windows = piece_windows(sizes, tokenizer.max_positions - 2)
        ids = np.array([piece for word in pieces for piece in word], np.int32)
        rows = tuple(tokenizer.row(ids[window.start : window.end], False) for window in windows)
        return Encoded(rows, WordPieces(text, spans, [0, *accumulate(sizes)][:-1], windows))

    def _words(self, sample: Any) -> tuple[str, Sequence[tuple[int, int]]]:
        """The text of a sample, and the spans of its words."""
        from focus_export.tokenizer import require_text

        if isinstance(sample, Iterable) and not isinstance(sample, str | bytes | Mapping):
            words = list(sample)
            for word in words:
                require_text(word)
            ends = list(accumulate(len(word) + 1 for word in words))
            return " ".join(words), [(end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True)]
        require_text(sample)
        if self.words == "spaces":
            import re

            return sample, [match.span() for match in re.finditer(r"\S+", sample)]
        return sample, self.splitter.spans(sample)

    def result(self, encoded: Encoded, outputs: "Sequence[Mapping[str, np.ndarray]]") -> Tagging:
        """The tag of each word, and the entities."""
        words: WordPieces = encoded.context
        text, scores = words.text, self._word_scores(words, outputs)
        tokens = tuple(
            TaggedWord(text[start:end], start, end, self.tags[tag], score)
            for (start, end), tag, score in zip(
                words.spans, scores.argmax(1).tolist(), scores.max(1).tolist(), strict=True
            )
        )
        return Tagging(tokens, self._entities(text, tokens))

    def _word_scores(self, words: WordPieces, outputs: "Sequence[Mapping[str, np.ndarray]]") -> "np.ndarray":
        """The probabilities of the tags of each word, float64 (words, tags); with "max" their sum can exceed 1."""
        import numpy as np

        kept = [
            row["tags"][1 + window.kept_start - window.start : 1 + window.kept_end - window.start]
            for window, row in zip(words.windows, outputs, strict=True)
        ]
        logits, firsts = np.concatenate(kept).astype(np.float64), np.array(words.first_pieces, np.int64)
        if self.aggregation == "first":
            logits = logits[firsts]
        powers = np.exp(logits - logits.max(1, keepdims=True))
        scores = powers / powers.sum(1, keepdims=True)
        if self.aggregation == "first" or not len(firsts):
            return np.asarray(scores)
        if self.aggregation == "max":
            return np.asarray(np.maximum.reduceat(scores, firsts))
        sizes = np.diff([*firsts, len(scores)])
        return np.asarray(np.add.reduceat(scores, firsts) / sizes[:, None])

    def _entities(self, text: str, tokens: Sequence[TaggedWord]) -> tuple[TaggedEntity, ...]:
        from focus_export.entities import entities_of

        if "entities" not in self.columns:
            return ()
        found = []
        for kind, first, end in entities_of([token.tag for token in tokens]):
            of_entity = tokens[first:end]
            start, stop = of_entity[0].start, of_entity[-1].end
            score = sum(token.score for token in of_entity) / len(of_entity)
            found.append(TaggedEntity(kind, start, stop, text[start:stop], score))
        return tuple(found)

    def record(self, result: Tagging) -> dict[str, Any]:
        """``tokens``: text, start, end, tag and score of each word. ``entities``: type, start, end, text and score.

        Plain tags have no ``entities``.
        """
        return {name: [entry._asdict() for entry in getattr(result, name)] for name in self.columns}

    def lines(self) -> dict[str, Callable[[Tagging], str]]:
        """``.conll``: a line for each word with its tag, separated by a tab, and a blank line after each text.

        ``.conllu``: CoNLL-U, with plain tags as UPOS and those of entities in MISC.
        """
        return {
            "conll": lambda result: "".join(f"{token.text}\t{token.tag}\n" for token in result.tokens) + "\n",
            "conllu": self._conllu,
        }

    def _conllu(self, result: Tagging) -> str:
        lines = []
        starts = [token.start for token in result.tokens]
        for number, (token, after) in enumerate(zip_longest(result.tokens, starts[1:]), 1):
            upos, misc = ("_", [f"NER={token.tag}"]) if "entities" in self.columns else (token.tag, [])
            misc += ["SpaceAfter=No"] if after == token.end else []
            columns = [str(number), token.text, "_", upos, *5 * "_", "|".join(misc) or "_"]
            lines.append("\t".join(columns) + "\n")
        return "".join(lines) + "\n"

    def parquet(self, arrow: Any, width: int) -> Any:
        """Lists of structs with the fields in JSON Lines."""
        text, number, score = arrow.string(), arrow.int32(), arrow.float32()
        token = {"text": text, "start": number, "end": number, "tag": text, "score": score}
        entity = {"type": text, "start": number, "end": number, "text": text, "score": score}
        fields = {"tokens": token, "entities": entity}
        return arrow.schema({name: arrow.list_(arrow.struct(list(fields[name].items()))) for name in self.columns})

    def hugging_face(self, width: int, max_positions: int) -> HuggingFaceHead:
        """XLMRobertaForTokenClassification."""
        return HuggingFaceHead(
            architecture="TokenClassification",
            masked_lm=False,
            config={
                "id2label": {str(number): tag for number, tag in enumerate(self.tags)},
                "label2id": {tag: number for number, tag in enumerate(self.tags)},
            },
            tensors={f"tags.{kind}": f"classifier.{kind}" for kind in ("weight", "bias")},
        )


HEAD = TaggingHead
