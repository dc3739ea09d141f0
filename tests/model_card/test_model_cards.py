"""The model cards: their metadata are read by the Hub's client, and their code runs as it stands."""

import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from focus_cli.main import main
from focus_export.head import ServingHead
from focus_export.heads.classification import ClassificationHead
from focus_export.heads.embedding import EmbeddingHead
from focus_export.heads.pairs import PairsHead
from focus_export.heads.questions import QuestionsHead
from focus_export.heads.tagging import TaggingHead
from focus_export.word_splitter import PLACES
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from focus_plugin.files import sha256
from focus_plugin.finetuning.discovery import find_task
from focus_plugin.finetuning.head_file import HEAD_FILE, write_head
from focus_plugin.jobs.export import export_onnx
from focus_plugin.jobs.export_huggingface import export_huggingface
from focus_plugin.jobs.export_options import OnnxExport
from focus_plugin.manifest import describe, manifest_of
from focus_plugin.model_card.card import model_card
from focus_plugin.model_card.front_matter import front_matter
from focus_plugin.model_card.use import release_use

HEADS: dict[str, tuple[ServingHead, str]] = {
    "classification": (ClassificationHead(("good", "bad")), "text-classification"),
    "pairs": (PairsHead(("same", "other")), "text-classification"),
    "scores": (PairsHead(), "text-classification"),
    "tagging": (TaggingHead(("B-PER", "I-PER", "O"), ("",) * len(PLACES), ()), "token-classification"),
    "questions": (QuestionsHead(20, 4), "question-answering"),
    "embedding": (EmbeddingHead(), "sentence-similarity"),
}
CODE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.sampled_from(["a", "tags", "model-index", "library_name"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_the_metadata_are_yaml(values):
    assert list(yaml.safe_load_all(front_matter(values))) == [values, None]


def write_model(release: Path, head: ServingHead, directory: Path) -> Path:
    """A fine-tuned model with random weights in its head."""
    task, directory = find_task(head.name), Path(shutil.copytree(release, directory))
    torch.manual_seed(3)
    if task.module:
        state = torch.load(directory / "model.pt")
        weights = task.module(head, 32).state_dict()
        state["model"] |= {f"task_head.{name}": tensor for name, tensor in weights.items()}
        torch.save(state, directory / "model.pt")
    write_head(directory / HEAD_FILE, head, "task_head." if task.module else "")
    return directory


def run_code(directory: Path, text: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run the blocks of code in a card; what each Python block prints."""
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for language, code in CODE.findall(text):
            if language == "sh":
                program, *words = code.split()
                assert program == "focus"
                done = CliRunner().invoke(main, words, catch_exceptions=False)
                assert done.exit_code == 0, done.output
            else:
                capsys.readouterr()
                exec(compile(code, "card", "exec"), {})
                printed.append(capsys.readouterr().out)
    return printed


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d*)?(?:e-?\d+)?", text)]


@pytest.mark.parametrize("kind", HEADS)
def test_the_code_of_cards_runs(kind, release, tmp_path, capsys):
    head, tag = HEADS[kind]
    model = write_model(release, head, tmp_path / "model")
    card = model_card(describe(f"{head.name} model", {}, {}), release_use(type(head), has_head=True))
    [from_pytorch] = run_code(model, card, capsys)
    exported, theirs = tmp_path / f"{head.name}.onnx", tmp_path / "hf"
    assert ModelCard.load(exported / "README.md").data.to_dict() == {
        "pipeline_tag": tag,
        "library_name": "onnx",
        "tags": ["focus-fairseq"],
    }
    text = (exported / "README.md").read_text(encoding="utf-8")
    line = re.search(r"`texts.txt` is like `(.*)`:", text)[1].replace("<tab>", "\t")
    (exported / "texts.txt").write_text(f"{line}\n")
    [from_onnx] = run_code(exported, text, capsys)
    assert len((exported / "predictions.jsonl").read_text().splitlines()) == 1
    assert _numbers(from_onnx) == pytest.approx(_numbers(from_pytorch), abs=1e-3)
    export_huggingface(model, theirs)
    data = ModelCard.load(theirs / "README.md").data
    assert data.pipeline_tag == tag
    assert data.library_name == ("sentence-transformers" if kind == "embedding" else "transformers")
    [from_transformers] = run_code(theirs, (theirs / "README.md").read_text(encoding="utf-8"), capsys)
    assert from_transformers.strip()


def test_a_card_tells_how_a_model_was_made(release, vocabulary, target_text, tmp_path, capsys):
    """Of a converted encoder, and of its export in int8."""
    encoder, exported = tmp_path / "encoder", tmp_path / "onnx"
    words = ("--source", release, "--vocab", vocabulary, "--corpus", target_text, "--method", "random")
    done = CliRunner().invoke(main, ["convert", *map(str, words), "--output", str(encoder)], catch_exceptions=False)
    assert done.exit_code == 0
    text = (encoder / "README.md").read_text(encoding="utf-8")
    assert ModelCard(text).data.to_dict() == {
        "pipeline_tag": "fill-mask",
        "library_name": "fairseq",
        "tags": ["focus-fairseq", "random"],
    }
    assert len(run_code(encoder, text, capsys)) == 1
    export_onnx(OnnxExport(model=encoder, precision="int8", valid=(target_text,), max_loss=1), exported)
    manifest, text = manifest_of(exported), (exported / "README.md").read_text(encoding="utf-8")
    assert manifest.files["README.md"] == (exported / "README.md").stat().st_size
    assert re.findall("^### (.*)", text, re.MULTILINE) == ["1. Vocabulary", "2. Converted encoder", "3. ONNX model"]
    for made in (*manifest.history(), manifest):
        assert all(digest in text for digest in made.inputs.values())
    [result] = ModelCard(text).data.eval_results
    assert (result.metric_type, result.metric_value) == ("cosine", manifest.counts["scores"]["cosine"][1])
    assert result.dataset_revision == sha256(target_text)
    assert f"with a loss of {manifest.counts['loss']:.4f}" in text
    assert str(tmp_path) not in text
    assert str(target_text.parent) not in text


def test_the_metrics_are_those_of_the_directory_itself():
    """Not those of the trained encoder that a model was fine-tuned from; an export has those of the model."""
    digest = "0" * 64
    encoder = describe("trained encoder", {}, {"valid": digest})
    encoder = replace(encoder, counts={"valid_loss_nats": {"100": 2.5}})
    model = describe("classification model", {}, {"valid": digest})
    model = replace(model, counts={"valid_accuracy": 0.75}, made_of={"model": asdict(encoder)})
    export = replace(describe("ONNX model", {}, {}), made_of={"model": asdict(model)})
    use = release_use(ClassificationHead, has_head=True)
    shown = [re.findall(r"^\| (\w+) \| ([\d.]+) \|$", model_card(made, use), re.MULTILINE) for made in (encoder, model)]
    assert shown == [[("masked_lm_loss", "2.5000")], [("accuracy", "0.7500")]]
    assert "| accuracy | 0.7500 |" in model_card(export, use)


def test_equal_input_gives_equal_cards(release, tmp_path):
    model = write_model(release, HEADS["classification"][0], tmp_path / "model")
    for name in ("a", "b"):
        export_huggingface(model, tmp_path / name)
    assert (tmp_path / "a" / "README.md").read_bytes() == (tmp_path / "b" / "README.md").read_bytes()


def test_cards_have_no_absolute_paths():
    """Users can give some to fairseq-train."""
    extra = ["--tensorboard-logdir", "/home/me/logs", "--x=~/me/a b/logs", "a/b", "https://x.org/y"]
    manifest = describe("classification model", {"extra": extra, "rate": 1 / 3}, {"train": "0" * 64})
    card = model_card(manifest, release_use(ClassificationHead, has_head=True))
    assert "`extra` [--tensorboard-logdir, logs, --x=logs, a/b, https://x.org/y], `rate` 0.333333" in card
