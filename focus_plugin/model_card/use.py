"""How a directory is used: the commands and the Python lines of its model card. They run in this directory."""

from collections.abc import Sequence
from dataclasses import dataclass

from focus_export.head import HuggingFaceHead, ServingHead

_FOR_SENTENCE_TRANSFORMERS = "modules.json"


@dataclass(frozen=True)
class Code:
    """Lines to run, and a sentence before them. language: "sh" or "python"."""

    before: str
    language: str
    lines: str


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a card says that depends on the format of its directory.

    library: the one that loads it, as the Hugging Face Hub names it. pipeline_tag: the Hub's name of the task; None if
    it has none. unchanged: of an export, whether its results are those of the model in PyTorch.
    """

    library: str
    pipeline_tag: str | None
    code: Sequence[Code]
    unchanged: bool = False


def release_use(head: type[ServingHead], has_head: bool) -> Use:
    """Of a fairseq release. ``has_head``: whether it is a model for the head's task, else it is an encoder."""
    export = "To run it without PyTorch and fairseq, export it:"
    results = "In Python, with the packages of `focus-fairseq[train]`:"
    return Use(
        library="fairseq",
        pipeline_tag=head.card.pipeline_tag if has_head else "fill-mask",
        code=[
            Code(export, "sh", f"focus export --onnx --model . --output ../{head.name}.onnx"),
            Code(
                results,
                "python",
                "from focus_plugin.finetuning.evaluation import released_pipeline\n\n"
                f"for result in released_pipeline('.').results([{_sample(head)}]):\n"
                "    print(result)",
            ),
        ],
    )


def onnx_use(head: type[ServingHead], unchanged: bool) -> Use:
    """Of an ONNX model."""
    command = "focus predict --model . --input texts.txt --output predictions.jsonl"
    return Use(
        library="onnx",
        pipeline_tag=head.card.pipeline_tag,
        unchanged=unchanged,
        code=[
            Code(f"Each line of `texts.txt` is like `{head.card.line or _line(head)}`:", "sh", command),
            Code(
                "In Python, with the packages of `focus-fairseq[serve]`:",
                "python",
                "from focus_export.runtime import Predictor\n\n"
                f"for result in Predictor('.').predict([{_sample(head)}]):\n"
                "    print(result)",
            ),
        ],
    )


def hugging_face_use(head: type[ServingHead], theirs: HuggingFaceHead, unchanged: bool) -> Use:
    """Of a directory for transformers."""
    own = head.card.hugging_face
    return Use(
        library="sentence-transformers" if _FOR_SENTENCE_TRANSFORMERS in theirs.files else "transformers",
        pipeline_tag=head.card.pipeline_tag,
        unchanged=unchanged,
        code=[Code("In Python:", "python", own or _transformers(head, f"AutoModelFor{theirs.architecture}"))],
    )


def _transformers(head: type[ServingHead], model: str) -> str:
    """The lines that give the outputs of any model of transformers."""
    return (
        f"from transformers import {model}, AutoTokenizer\n\n"
        "tokenizer = AutoTokenizer.from_pretrained('.')\n"
        f"model = {model}.from_pretrained('.')\n"
        f"print(model(**tokenizer(*{_texts(head)!r}, return_tensors='pt')))"
    )


def _texts(head: type[ServingHead]) -> tuple[str, ...]:
    """The texts of a sample."""
    return head.card.texts or tuple(f"This is a {name}." for name in head.inputs)


def _sample(head: type[ServingHead]) -> str:
    """A sample as Python writes it."""
    texts = _texts(head)
    return repr(texts[0] if len(texts) == 1 else texts)


def _line(head: type[ServingHead]) -> str:
    return "<tab>".join(_texts(head))
