"""What ``focus evaluate`` measures: the same predictions of every model, and their exact loss."""

import json
import math
import re
import shutil
import struct
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.data import data_utils
from invoked import refuse, run
from torch.nn.functional import cross_entropy
from transformers import XLMRobertaForMaskedLM

from focus_plugin.binary_data import writing_dataset
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import write_release
from focus_plugin.errors import FocusError
from focus_plugin.jobs.evaluate import evaluate
from focus_plugin.jobs.prepare import prepare
from focus_plugin.masked_lm.loss import masked_lm_loss
from focus_plugin.masked_lm.masking import MaskedText, mask_text
from focus_plugin.masked_lm.options import Evaluation, TextPreparation
from focus_plugin.vocabulary.files import vocabulary_files

LENGTH = 40


@pytest.fixture(scope="module")
def data(target_text: Path, hugging_face: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("evaluation")
    lines = target_text.read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in (("valid", lines[:60]), ("test", [*lines[60:80], "ǃ ǂ\n"])):
        (work / f"{name}.txt").write_text("".join(part), encoding="utf-8")
    texts = {name: (work / f"{name}.txt",) for name in ("valid", "test")}
    vocabulary = hugging_face.with_name(f"{hugging_face.name}.vocabulary")
    prepare(TextPreparation(vocabulary=vocabulary, train=texts["valid"], **texts), work / "data")
    return work / "data"


def _measure(data: Path, model: Path, **settings: object) -> tuple[float, int]:
    found = evaluate(Evaluation(data=data, model=model, cpu=True, **{"tokens_per_sample": LENGTH, **settings}))
    return found.nats, found.predicted


def _ids(data: Path, split: str) -> np.ndarray:
    """As fairseq reads them."""
    texts = data_utils.load_indexed_dataset(str(data / split), None)
    return np.concatenate([texts[i].numpy() for i in range(len(texts))])


def _masked(data: Path, checkpoint: Checkpoint, split: str = "valid") -> MaskedText:
    return mask_text(_ids(data, split), checkpoint.vocabulary, seed=1)


def _deaf(release: Path, output: Path, body_seed: int, bias: torch.Tensor) -> Path:
    """A model that predicts by its bias alone, whatever it reads; its body is random."""
    source = read_checkpoint(release)
    draw = torch.Generator().manual_seed(body_seed)
    tensors = {name: torch.randn(tensor.shape, generator=draw) for name, tensor in source.tensors.items()}
    tensors |= {name: torch.zeros_like(source.tensors[name]) for name in (EMBEDDING, OUTPUT_EMBEDDING)}
    output.mkdir()
    write_release(output, source.config, {**tensors, OUTPUT_BIAS: bias}, *vocabulary_files(release))
    return output


def test_the_loss_is_that_of_transformers_on_the_same_masks(data: Path, hugging_face: Path) -> None:
    text = _masked(data, read_checkpoint(hugging_face))
    model = XLMRobertaForMaskedLM.from_pretrained(hugging_face).eval()
    total = 0.0
    for start in range(0, len(text.read), LENGTH - 1):
        part = slice(start, start + LENGTH - 1)
        with torch.inference_mode():
            logits = model(torch.tensor([[0, *text.read[part]]])).logits[0, 1:]
        labels = torch.tensor(np.where(text.predicted, text.original, -100)[part])
        total += float(cross_entropy(logits, labels, reduction="sum"))
    nats, predicted = _measure(data, hugging_face)
    assert predicted == text.predicted.sum() > 100
    assert nats == pytest.approx(total / predicted, rel=1e-6)


def test_no_special_token_is_counted(data: Path, release: Path, tmp_path: Path) -> None:
    """A model that holds special tokens for impossible, and all others for alike, loses the logarithm of their number.

    Every counted ``</s>`` or ``<unk>`` would add a thousand.
    """
    vocabulary = read_checkpoint(release).vocabulary
    bias = torch.from_numpy(np.where(vocabulary.special, -1000.0, 0.0)).float()
    model = _deaf(release, tmp_path / "model", 1, bias)
    counts = json.loads((data / "focus.json").read_text())["counts"]
    assert counts["test"]["unknown"] >= 2
    for split in ("valid", "test"):
        nats, predicted = _measure(data, model, split=split)
        assert nats == pytest.approx(math.log((~vocabulary.special).sum()), rel=1e-6)
        assert predicted == round(0.15 * (counts[split]["tokens"] - counts[split]["unknown"]))


def test_models_are_compared_on_the_same_predictions(data: Path, release: Path, tmp_path: Path) -> None:
    """The loss of a model that knows its bias alone tells which tokens it was asked for; only the seed changes them."""
    bias = torch.randn(len(read_checkpoint(release).vocabulary), generator=torch.Generator().manual_seed(3))
    one, other = (_deaf(release, tmp_path / str(seed), seed, bias) for seed in (1, 2))
    nats, predicted = _measure(data, one)
    for settings in ({}, {"tokens_per_sample": 17}, {"tokens_per_sample": 512}):
        assert _measure(data, other, **settings) == (pytest.approx(nats, rel=1e-6), predicted)
    assert _measure(data, one, seed=2)[0] != pytest.approx(nats, rel=1e-4)


def test_batches_change_nothing(data: Path, release: Path) -> None:
    checkpoint = read_checkpoint(release)
    text, found = _masked(data, checkpoint), []
    for tokens in (1, 3 * LENGTH, 100_000):
        done: list[int] = []
        loss = masked_lm_loss(checkpoint, text, length=LENGTH, batch_tokens=tokens, device="cpu", progress=done.append)
        assert sum(done) == len(text.read)
        found.append(loss)
    assert {loss.predicted for loss in found} == {text.predicted.sum()}
    assert [loss.nats for loss in found] == pytest.approx([found[0].nats] * 3, rel=1e-6)


def test_how_a_model_was_trained_to_mask_does_not_matter(release: Path, data: Path, tmp_path: Path) -> None:
    """A checkpoint as fairseq-train saves it, which names its own way of masking and its own seed."""
    trained = Path(shutil.copytree(release, tmp_path / "trained"))
    task = {"_name": "focus_masked_lm", "mask_prob": 0.5, "leave_unmasked_prob": 0.5, "seed": 9}
    state = torch.load(release / "model.pt")
    torch.save(
        {**state, "cfg": {**state.get("cfg", {}), "task": task, "model": state["cfg"]["model"]}}, trained / "model.pt"
    )
    assert _measure(data, trained) == _measure(data, release)


def test_every_layout_of_an_encoder_is_evaluated_alike(
    data: Path, release: Path, hugging_face: Path, tmp_path: Path
) -> None:
    """Also a release whose options are a Namespace, as XLM-R's own."""
    old = Path(shutil.copytree(release, tmp_path / "old"))
    options = Namespace(arch="roberta_base", encoder_attention_heads=4)
    torch.save({"args": options, "model": torch.load(release / "model.pt")["model"]}, old / "model.pt")
    assert len({_measure(data, model) for model in (release, hugging_face, old)}) == 1


def test_what_cannot_be_evaluated_is_told(data: Path, release: Path, tmp_path: Path) -> None:
    for name, says in (("a:b", "treats a colon"), ("uncounted", "holds no valid text")):
        manifest = json.loads((data / "focus.json").read_text())
        shutil.copytree(data, tmp_path / name)
        (tmp_path / name / "focus.json").write_text(json.dumps({**manifest, "counts": {}}))
        with pytest.raises(FocusError, match=says):
            _measure(tmp_path / name, release)
    with pytest.raises(FocusError, match="treats a colon"):
        prepare(TextPreparation(vocabulary=release, train=(data,), valid=(data,)), tmp_path / "c:d")
    unknown = Path(shutil.copytree(data, tmp_path / "unknown"))
    with writing_dataset(unknown / "valid", 600) as dataset:
        dataset.add(np.append(np.full(200, 3), 2), np.array([201]))
    with pytest.raises(FocusError, match="its valid text has no tokens to predict, since all of them are <unk>"):
        _measure(unknown, release)


def test_the_commands_take_a_test_text_in_several_compressed_files(
    target_text: Path, release: Path, tmp_path: Path
) -> None:
    lines = target_text.read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in (("a", lines[:20]), ("b", lines[20:50]), ("c", lines[50:90])):
        (tmp_path / f"{name}.txt").write_text("".join(part), encoding="utf-8")
    base = ("focus", "prepare", "--vocab", release, "--train", tmp_path / "a.txt", "--valid", tmp_path / "b.txt")
    run(*base, "--output", tmp_path / "two")
    told = run(*base, "--test", tmp_path / "[bc].txt", "--output", tmp_path / "three").stdout
    assert [line.split("/")[-1].split(" lines")[0] for line in told.splitlines()] == [
        "train: 20",
        "valid: 30",
        "test: 70",
    ]
    measured = run("focus", "evaluate", tmp_path / "three", "--model", release, "--split", "test", "--cpu").stdout
    counts = json.loads((tmp_path / "three" / "focus.json").read_text())["counts"]["test"]
    assert f" nats on {round(0.15 * (counts['tokens'] - counts['unknown']))} predicted tokens." in measured
    evaluate_two = ("focus", "evaluate", tmp_path / "two", "--model", release, "--split", "test")
    refuse(*evaluate_two, says="holds no test text; give it to focus prepare with --test")


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("valid.idx", lambda content: b"", "valid.idx: damaged"),
        ("valid.idx", lambda content: b"X" + content[1:], "valid.idx: damaged"),
        ("valid.idx", lambda content: content[:18] + struct.pack("<Q", 2**40) + content[26:], "valid.idx: damaged"),
        ("valid.idx", lambda content: content[:26] + struct.pack("<i", -5) + content[30:], "valid.idx: damaged"),
        ("valid.idx", lambda content: content[:-8] + struct.pack("<q", 2**40), "valid.idx: damaged"),
        ("valid.bin", lambda content: content[:-2], "valid.idx: damaged"),
        ("valid.bin", lambda content: b"\xff" * len(content), "valid.bin: has token ids beyond the dictionary"),
    ],
)
def test_damaged_data_is_told(
    data: Path, hugging_face: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes], says: str
) -> None:
    damaged = Path(shutil.copytree(data, tmp_path / "data"))
    (damaged / name).write_bytes(change((damaged / name).read_bytes()))
    with pytest.raises(FocusError, match=re.escape(says)):
        _measure(damaged, hugging_face)


@pytest.mark.parametrize("counts", [{}, None, {"tokens": "many", "lines": 60}, {"tokens": 600}])
def test_counts_that_are_damaged_are_told(
    data: Path, hugging_face: Path, tmp_path: Path, counts: dict[str, object] | None
) -> None:
    damaged = Path(shutil.copytree(data, tmp_path / "data"))
    manifest = json.loads((damaged / "focus.json").read_text())
    manifest["counts"]["valid"] = counts
    (damaged / "focus.json").write_text(json.dumps(manifest))
    with pytest.raises(FocusError, match=r"focus\.json: does not say how many tokens valid has; prepare it again"):
        _measure(damaged, hugging_face)
