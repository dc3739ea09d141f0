"""A factorized embedding: made by ``--method ofa``, kept in training and ONNX, multiplied out for transformers."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils
from fairseq_models import PLUGIN, script
from fairseq_models import run as run_fairseq
from focus_export.runtime import Predictor
from invoked import run
from transformers import AutoModelForMaskedLM, AutoTokenizer

import focus_plugin.models.focus_roberta  # noqa: F401  registers the architecture, as --user-dir does
from focus_plugin.checkpoint.checkpoint import Checkpoint, whole_embedding
from focus_plugin.checkpoint.forward import head_states, hidden_states
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING, PROJECTION
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.jobs.convert import convert
from focus_plugin.jobs.export import export_onnx
from focus_plugin.jobs.export_options import OnnxExport
from focus_plugin.mixing.discovery import find_method
from focus_plugin.mixing.matrix import load_matrix
from focus_plugin.transfer.options import ConversionOptions, initialization
from focus_plugin.trusted import trusted_globals

FACTORS = 12


@pytest.fixture(scope="module")
def words(directory, source_text, target_text) -> Path:
    """Random vectors of the words of both texts."""
    found = sorted({*source_text.read_text().split(), *target_text.read_text().split()})[:1500]
    vectors = np.random.default_rng(3).normal(size=(len(found), 6))
    rows = (f"{word} {' '.join(map(str, row))}\n" for word, row in zip(found, vectors, strict=True))
    (directory / "multilingual.vec").write_text(f"{len(found)} 6\n{''.join(rows)}")
    return directory / "multilingual.vec"


@pytest.fixture(scope="module")
def factorized(directory, release, vocabulary, words, target_text) -> Path:
    files = ("--source", release, "--vocab", vocabulary, "--multilingual-vectors", words, "--corpus", target_text)
    run("focus", "convert", *files, "--method", "ofa", "--factors", FACTORS, "--output", directory / "factorized")
    return directory / "factorized"


@pytest.fixture(scope="module")
def exported(directory, factorized) -> Path:
    said = run("focus", "export", "--hf", "--model", factorized, "--output", directory / "factorized.hf").stdout
    assert "Its factorized embedding was multiplied out, because transformers has no XLM-R with one." in said
    return directory / "factorized.hf"


def converted(what: ConversionOptions, output: Path, method: str = "ofa", **options: object) -> Checkpoint:
    convert(what, initialization(find_method(method), options), output)
    return read_checkpoint(output)


def test_rows_are_those_of_the_best_approximation_of_the_source(release, factorized):
    """Copied and mixed rows, by the singular value decomposition of NumPy and the mixing matrix."""
    source, target = read_checkpoint(release), read_checkpoint(factorized)
    assert target.config.factors == FACTORS
    assert target.tensors[EMBEDDING].shape == (len(target.vocabulary), FACTORS)
    assert target.tensors[PROJECTION].shape == (source.config.width, FACTORS)
    left, values, right = np.linalg.svd(source.tensors[EMBEDDING].double().numpy(), full_matrices=False)
    best = left[:, :FACTORS] * values[:FACTORS] @ right[:FACTORS]
    matrix, found = load_matrix(factorized / "mixing.safetensors"), whole_embedding(target.tensors).numpy()
    copied, mixed = np.flatnonzero(matrix.copied >= 0), np.flatnonzero(np.diff(matrix.weights.indptr))
    assert min(len(copied), len(mixed)) > 30
    np.testing.assert_allclose(found[copied], best[matrix.copied[copied]], atol=1e-5)
    np.testing.assert_allclose(found[mixed], (matrix.weights @ best)[mixed], atol=1e-5)
    assert not np.allclose(best, source.tensors[EMBEDDING].numpy(), atol=0.01), "something is lost"


@torch.inference_mode()
def test_fairseq_onnx_transformers_and_the_program_say_the_same(factorized, exported, target_text, tmp_path):
    lines = [*target_text.read_text().splitlines()[:8], "", "x" * 300]
    given = AutoTokenizer.from_pretrained(exported)(lines, padding=True, truncation=True, return_tensors="pt")
    ids, real = given["input_ids"], given["attention_mask"].bool()
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task(
        [str(factorized / "model.pt")], {"data": str(factorized)}
    )
    fairseq = models[0].eval()
    hidden, logits = fairseq(ids, features_only=True)[0], fairseq(ids)[0]
    theirs = AutoModelForMaskedLM.from_pretrained(exported).eval()(**given, output_hidden_states=True)
    torch.testing.assert_close(theirs.logits[real], logits[real], atol=1e-4, rtol=0)
    torch.testing.assert_close(theirs.hidden_states[-1][real], hidden[real], atol=1e-4, rtol=0)
    checkpoint = read_checkpoint(factorized)
    for row, length in enumerate(real.sum(1).tolist()):
        states = hidden_states(checkpoint.config, checkpoint.tensors, ids[row : row + 1, :length])
        ours = head_states(checkpoint.tensors, states) @ checkpoint.tensors[OUTPUT_EMBEDDING].T
        torch.testing.assert_close(ours[0] + checkpoint.tensors[OUTPUT_BIAS], logits[row, :length], atol=1e-4, rtol=0)
    export_onnx(OnnxExport(model=factorized, head={"pooling": "first"}), tmp_path / "onnx")
    served = np.stack(list(Predictor(tmp_path / "onnx", truncate=True).predict(lines)))
    np.testing.assert_allclose(served, hidden[:, 0].numpy(), atol=1e-4)


@pytest.mark.parametrize("precision", ["int8", "bf16", "fp16"])
def test_exports_of_reduced_precision_are_close(factorized, target_text, tmp_path, precision):
    lines, served = target_text.read_text().splitlines()[:20], []
    for name in ("fp32", precision):
        export_onnx(OnnxExport(model=factorized, head={"pooling": "mean"}, precision=name), tmp_path / name)
        served.append(np.stack(list(Predictor(tmp_path / name, truncate=True).predict(lines))))
    cosines = torch.nn.functional.cosine_similarity(*(torch.from_numpy(array) for array in served))
    assert 0.98 < cosines.min() < 1


def test_an_export_of_the_tokens_of_a_text_says_the_same_of_it(factorized, target_text, tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(lines := target_text.read_text().splitlines()[:5]))
    export_onnx(OnnxExport(model=factorized), tmp_path / "whole")
    export_onnx(OnnxExport(model=factorized, keep_tokens_of=(tmp_path / "text.txt",)), tmp_path / "part")
    whole, part = (np.stack(list(Predictor(tmp_path / name).predict(lines))) for name in ("whole", "part"))
    np.testing.assert_allclose(part, whole, atol=1e-5)
    sizes = [(tmp_path / name / "model.onnx.data").stat().st_size for name in ("whole", "part")]
    assert sizes[1] < sizes[0]


@pytest.fixture(scope="module")
def data(directory, factorized, target_text) -> Path:
    texts = ("--train", target_text, "--valid", target_text)
    run("focus", "prepare", "--vocab", factorized, *texts, "--output", directory / "factorized.data")
    return directory / "factorized.data"


def test_fairseq_initializes_a_factorized_model_by_the_method(release, factorized, data, words, tmp_path):
    source = ("--focus-source", release, "--focus-method", "ofa", "--focus-multilingual-vectors", words)
    options = (*source, "--focus-factors", FACTORS, "--embedding-factors", FACTORS)
    training = ("--max-update", 1, "--lr", 0, "--optimizer", "adam", "--tokens-per-sample", 60, "--max-tokens", 512)
    command = (script("fairseq-train"), data, *PLUGIN, "--arch", "focus_roberta", *options, *training, "--cpu")
    done = run_fairseq(*command, "--criterion", "masked_lm", "--save-dir", tmp_path, "--disable-validation")
    assert done.returncode == 0, done.stdout
    with trusted_globals():
        saved = torch.load(tmp_path / "checkpoint_last.pt")["model"]
    want = read_checkpoint(factorized).tensors
    for name in (EMBEDDING, PROJECTION):
        torch.testing.assert_close(saved[name], want[name], atol=1e-6, rtol=0)


def test_training_keeps_the_projection_and_trains_it(factorized, target_text, tmp_path):
    draw, lines = random.Random(1), target_text.read_text().splitlines()[:20]
    for name in ("train", "valid"):
        rows = (f"{draw.choice(['yes', 'no'])}\t{line}\n" for line in lines)
        (tmp_path / f"{name}.tsv").write_text("label\ttext\n" + "".join(rows))
    tables = ("--train", tmp_path / "train.tsv", "--valid", tmp_path / "valid.tsv", "--test", tmp_path / "valid.tsv")
    model = ("--model", factorized, "--output", tmp_path / "out", "--epochs", 3, "--cpu")
    run("focus", "finetune", "classification", *tables, *model)
    before, after = read_checkpoint(factorized), read_checkpoint(tmp_path / "out")
    assert after.config == before.config
    for name in (EMBEDDING, PROJECTION):
        assert after.tensors[name].shape == before.tensors[name].shape
        assert not torch.equal(after.tensors[name], before.tensors[name])
    assert after.tensors[OUTPUT_EMBEDDING] is after.tensors[EMBEDDING]
    export_onnx(OnnxExport(model=tmp_path / "out"), tmp_path / "onnx")
    assert len(list(Predictor(tmp_path / "onnx", truncate=True).predict(lines))) == len(lines)


def test_an_extended_vocabulary_keeps_the_rows_of_the_source(release, vocabulary, words, factorized, tmp_path):
    what = ConversionOptions(source=release, vocabulary=vocabulary, extend=True)
    extended = converted(what, tmp_path / "out", multilingual_vectors=words, factors=FACTORS)
    source, other = read_checkpoint(release), read_checkpoint(factorized)
    approximated = source.tensors[EMBEDDING] @ other.tensors[PROJECTION] @ other.tensors[PROJECTION].T
    kept = [extended.vocabulary.ids[token] for token in source.vocabulary.tokens]
    torch.testing.assert_close(whole_embedding(extended.tensors)[kept], approximated, atol=1e-5, rtol=0)
    assert len(extended.vocabulary) > len(source.vocabulary)


def test_a_factorized_encoder_is_converted_again(factorized, vocabulary, words, tmp_path):
    """By any method, and with fewer factors."""
    what = ConversionOptions(source=factorized, vocabulary=vocabulary)
    same, want = converted(what, tmp_path / "same", "random").tensors, read_checkpoint(factorized).tensors
    assert all(torch.equal(same[name], want[name]) for name in (EMBEDDING, PROJECTION))
    fewer = converted(what, tmp_path / "fewer", multilingual_vectors=words, factors=5)
    assert fewer.tensors[PROJECTION].shape == (32, 5)
    left, values, right = np.linalg.svd(want[EMBEDDING].double().numpy(), full_matrices=False)
    best = (left[:, :5] * values[:5] @ right[:5]) @ want[PROJECTION].double().numpy().T
    np.testing.assert_allclose(whole_embedding(fewer.tensors).numpy(), best, atol=1e-5)


def changed(model: Path, output: Path, tensors: dict[str, torch.Tensor], **settings: object) -> Path:
    """A copy of ``model`` with other tensors and settings."""
    shutil.copytree(model, output)
    state = torch.load(output / "model.pt")
    state["model"] |= tensors
    state["cfg"]["model"] |= settings
    torch.save(state, output / "model.pt")
    return output


def test_what_cannot_be_factorized_is_refused(factorized, release, vocabulary, words, tmp_path):
    rows, projection = (read_checkpoint(factorized).tensors[name] for name in (EMBEDDING, PROJECTION))
    two = {OUTPUT_EMBEDDING: 2 * read_checkpoint(release).tensors[EMBEDDING]}
    untied = changed(release, tmp_path / "untied", two, untie_weights_roberta=True)
    narrow = changed(factorized, tmp_path / "narrow", {PROJECTION: projection[:, :-1].contiguous()})
    other = changed(factorized, tmp_path / "other", {OUTPUT_EMBEDDING: 2 * rows})
    for source, factors, says in (
        (release, 32, "--factors 32 must be smaller than 32, the length of the source's rows."),
        (untied, 4, "The source has an output embedding of its own, so its embedding cannot be factorized."),
        (narrow, 4, f"has shape (32, {FACTORS - 1}), but the other tensors require (32, {FACTORS})."),
        (other, 4, "has a factorized embedding and another output embedding; they must be the same."),
    ):
        what = ConversionOptions(source=source, vocabulary=vocabulary)
        with pytest.raises(FocusError) as error:
            converted(what, tmp_path / "out", multilingual_vectors=words, factors=factors)
        assert says in str(error.value)
        assert not (tmp_path / "out").exists()
