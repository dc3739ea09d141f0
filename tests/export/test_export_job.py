"""``focus export --onnx`` with its options, on a small classifier and a small encoder."""

import gzip
import json
import shutil
from collections import Counter

import numpy as np
import onnxruntime
import pytest
import sentencepiece
import torch
from fairseq.models.roberta import XLMRModel
from focus_export.directory import read_export
from focus_export.runtime import Predictor
from hypothesis import given, settings
from hypothesis import strategies as st
from invoked import refuse, run
from marked_models import MarkedUnit, first_products, with_marked_token
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import matthews_corrcoef
from sources import CONFIG

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, TaskHead
from focus_plugin.jobs.export import export_onnx
from focus_plugin.jobs.export_huggingface import export_huggingface
from focus_plugin.jobs.export_options import OnnxExport
from focus_plugin.jobs.export_triton import export_triton
from focus_plugin.jobs.model_head import model_head
from focus_plugin.jobs.quality import Quality, least_loss, quality, with_cosine
from focus_plugin.jobs.reduction import activation_ranges
from focus_plugin.jobs.served_model import served_model
from focus_plugin.progress import no_phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.restriction import restrict_pieces


@pytest.fixture(scope="module")
def lines(source_text):
    return source_text.read_text().splitlines()[:300]


@pytest.fixture(scope="module")
def exact(classifier, directory):
    export_onnx(OnnxExport(model=classifier), directory / "classifier.onnx")
    return directory / "classifier.onnx"


@pytest.fixture(scope="module")
def table(directory, exact, lines):
    """Texts with the label that the float32 model gives them."""
    path = directory / "valid.tsv"
    rows = zip(Predictor(exact).predict(lines), lines, strict=True)
    path.write_text("topic\ttitle\n" + "".join(f"{found.label}\t{line}\n" for found, line in rows))
    return path


def counts(directory):
    return json.loads((directory / "focus.json").read_text())["counts"]


COLUMNS = {"label_column": "topic", "text_column": "title"}


def reduced(model, output, precision, valid, **options):
    """Export in this process; what ``focus.json`` tells."""
    head = COLUMNS if valid.suffix == ".tsv" else {}
    job = OnnxExport(model=model, precision=precision, valid=(valid,), head=head, **options)
    return export_onnx(job, output).counts


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_reduced_classifier_agrees_and_says_how_far(classifier, exact, table, lines, tmp_path, precision):
    columns = ("--label-column", "topic", "--text-column", "title")
    judged = ("--precision", precision, "--valid", table, "--max-loss", 0.1)
    command = ("focus", "export", "--onnx", "--model", classifier, "--output", tmp_path / "less", *judged, *columns)
    said = run(*command).stdout
    found = counts(tmp_path / "less")
    labels = [prediction.label for prediction in Predictor(exact).predict(lines)]
    less = Predictor(tmp_path / "less")
    agreement = np.mean([a == b.label for a, b in zip(labels, less.predict(lines), strict=True)])
    assert found["scores"]["accuracy"] == [1, pytest.approx(agreement)]
    assert found["loss"] == pytest.approx(1 - agreement)
    assert agreement > 0.9
    assert f"accuracy as {precision} {agreement:.3f} (fp32: 1.000)" in said
    assert less.model.config.precision == precision
    assert f"Measured on {len(lines)} samples, computed on CPU" in said
    assert found["judged_on"] == "CPU"
    assert (tmp_path / "less" / "model.onnx.data").stat().st_size < (exact / "model.onnx.data").stat().st_size


def test_bf16_is_judged_by_what_rounding_loses(release, source_text, tmp_path):
    """Embeddings come near bfloat16's precision of 1/256; their cosine loses about its square."""
    found = reduced(release, tmp_path / "bf16", "bf16", source_text)
    assert 1e-6 < found["loss"] < 1e-3


def test_a_bf16_classifier_is_exported_without_a_gpu(classifier, exact, table, tmp_path):
    """What is written ONNX Runtime has no operators for here."""
    columns = ("--label-column", "topic", "--text-column", "title")
    judged = ("--precision", "bf16", "--valid", table, "--max-loss", 0.1)
    command = ("focus", "export", "--onnx", "--model", classifier, "--output", tmp_path / "bf16", *judged, *columns)
    said = run(*command).stdout
    found = counts(tmp_path / "bf16")
    assert "accuracy as bf16" in said
    assert found["judged_on"] == "CPU"
    assert found["scores"]["accuracy"] == [1, pytest.approx(1 - found["loss"])]
    assert found["loss"] < 0.1
    sizes = [(path / "model.onnx.data").stat().st_size for path in (exact, tmp_path / "bf16")]
    assert sizes[1] < 0.75 * sizes[0]
    assert read_export(tmp_path / "bf16").config.precision == "bf16"
    (tmp_path / "texts.txt").write_text("bata\n")
    texts = ("--input", tmp_path / "texts.txt", "--output", tmp_path / "o.jsonl")
    refuse("focus", "predict", "--model", tmp_path / "bf16", *texts, says="is a bf16 model; bf16 needs a GPU")
    export_triton(tmp_path / "bf16", tmp_path / "triton")
    configuration = (tmp_path / "triton" / "bf16_encoder" / "config.pbtxt").read_text()
    assert 'name: "logits" data_type: TYPE_FP32' in configuration


def test_a_loss_beyond_the_limit_is_refused(release, source_text, tmp_path):
    with pytest.raises(
        FocusError,
        match=r"the model's cosine on it is 0\.\d+ instead of 1\. The loss is larger than --max-loss 0;",
    ):
        reduced(release, tmp_path / "int8", "int8", source_text, max_loss=0)
    assert not list(tmp_path.iterdir())
    found = reduced(release, tmp_path / "int8", "int8", source_text)
    assert found["scores"]["cosine"] == [pytest.approx(1), pytest.approx(1 - found["loss"])]
    assert 0 < found["loss"] < 0.01


def test_what_overflows_in_float16_is_refused(classifier, table, tmp_path):
    """On a CPU, where it is judged here, products are computed in float32, and nothing overflows."""
    model = shutil.copytree(classifier, tmp_path / "model")
    state = torch.load(model / "model.pt")
    for part, value in (("weight", 400), ("bias", 60_000)):
        state["model"][f"encoder.sentence_encoder.layers.0.fc1.{part}"][3] = value
    state["model"]["encoder.sentence_encoder.layers.0.self_attn_layer_norm.bias"] += 10
    torch.save(state, model / "model.pt")
    with pytest.raises(
        FocusError, match=r"tsv: on it, .*layers\.0\.gelu reaches .*e\+05, but the largest float16 is 65504"
    ):
        reduced(model, tmp_path / "fp16", "fp16", table, max_loss=1)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_ranges_that_lose_less_are_kept(release, source_text, tmp_path):
    """A rare word leads to a value that is huge, and is not in the text that ranges are fixed by. If the value matters,
    the ranges of every batch lose less, for it is cut off by the others; if it is of no use, they lose more."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(release / "sentencepiece.bpe.model"))
    lines = [line for line in source_text.read_text().splitlines() if len(tokenizer.encode(line)) < 60][:200]
    pieces = Counter(piece for line in lines for piece in set(tokenizer.encode(line, out_type=str)))
    piece = next(piece for piece, lines in pieces.most_common() if lines < 30)
    token = read_dictionary(release / "dict.txt").ids[piece]
    without = [line for line in lines if piece not in tokenizer.encode(line, out_type=str)]
    (tmp_path / "without.txt").write_text("\n".join(without))
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    texts = {"valid": tmp_path / "lines.txt", "activation_ranges_of": (tmp_path / "without.txt",)}
    for kept, other in (("measured", "fixed"), ("fixed", "measured")):
        unit = MarkedUnit(token=token, layer=0, is_read=kept == "measured")
        model = with_marked_token(release, tmp_path / f"{kept}.model", unit, lines)
        found = reduced(model, tmp_path / kept, "int8", **texts, max_loss=1)
        assert found["losses"][other] > 2 * found["losses"][kept]
        assert (found["scales"], found["loss"]) == (kept, found["losses"][kept])
        graph = (tmp_path / kept / "model.onnx").read_bytes()
        assert (b"DynamicQuantizeLinear" in graph) == (kept == "measured")
        export_onnx(OnnxExport(model=model), tmp_path / f"{kept}.exact")
        exact, less = (Predictor(tmp_path / name).rows(lines) for name in (f"{kept}.exact", kept))
        cosines = (exact * less).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(less, axis=1)
        assert found["loss"] == pytest.approx(1 - cosines.mean(), rel=0.05)


def test_int8_ranges_hold_the_hidden_states_that_are_given(classifier, lines, table, tmp_path):
    """The head reads <s> alone. For all other tokens, a unit of the last layer is huge; its range is theirs where they
    are computed, and that of <s> where they are not."""
    text = tmp_path / "text.txt"
    text.write_text("\n".join(lines[:40]))
    last = CONFIG.layers - 1
    model = with_marked_token(
        classifier, tmp_path / "model", MarkedUnit(token=0, layer=last, of_others=True), lines[:40]
    )
    ids, products = first_products(model, last, lines[:40], outputs=True)
    activations = torch.nn.functional.gelu(products)
    assert activations[ids != 0].max() > 5 * activations[ids == 0].max()
    checkpoint, kept = model_head(model, read_checkpoint(model), {})
    for hidden_states, tokens in ((True, ids >= 0), (False, ids == 0)):
        served = served_model(checkpoint, model / "sentencepiece.bpe.model", kept, hidden_states, None, no_phase)
        ranges = activation_ranges(served, Text.of(text), tmp_path)
        [name] = [name for name in ranges if name.endswith(f"layers.{last}.gelu")]
        assert ranges[name][1] == pytest.approx(activations[tokens].max().item(), rel=1e-4)


def test_hidden_states_are_judged_where_they_are_given(classifier, lines, table, tmp_path):
    """By their cosine to the float32 model's, which decides as well, also where no label can be lost."""
    options = {"hidden_states": True, "max_loss": 0.1}
    found = reduced(classifier, tmp_path / "less", "int8", table, **options)
    export_onnx(OnnxExport(model=classifier, hidden_states=True), tmp_path / "exact")
    states = [_hidden_states(tmp_path / name, lines) for name in ("exact", "less")]
    norms = [np.linalg.norm(found, axis=1) for found in states]
    cosine = ((states[0] * states[1]).sum(1) / norms[0] / norms[1]).mean()
    assert found["scores"]["hidden_states_cosine"] == [1, pytest.approx(cosine, abs=2e-3)]
    assert found["loss"] >= 1 - found["scores"]["hidden_states_cosine"][1] > 1e-4
    wrong = tmp_path / "wrong.tsv"
    least = [min(found.scores, key=found.scores.get) for found in Predictor(tmp_path / "exact").predict(lines)]
    rows = (f"{label}\t{line}\n" for label, line in zip(least, lines, strict=True))
    wrong.write_text("topic\ttitle\n" + "".join(rows))
    with pytest.raises(FocusError, match=r"in int8, the model's hidden states cosine on it is 0\.\d+ instead of 1\."):
        reduced(classifier, tmp_path / "o", "int8", wrong, hidden_states=True, max_loss=1e-5)


def _hidden_states(directory, lines):
    """Of all tokens of all lines, each alone."""
    session = onnxruntime.InferenceSession(str(directory / "model.onnx"))
    tokenizer, found = Predictor(directory).model.tokenizer, []
    rows = [tokenizer.ids(line) for line in lines]
    for row in rows:
        ids = np.array([[0, *row, 2]], np.int32)
        lengths = np.array([ids.shape[1]], np.int32)
        found.append(session.run(["hidden_states"], {"input_ids": ids, "lengths": lengths}))
    return np.concatenate([states[0] for [states] in found])


def test_faults_of_the_file_to_judge_by_are_told(classifier, release, tmp_path):
    (tmp_path / "other.tsv").write_text("topic\ttitle\nsport\tbata\nweather\tchapa\n")
    for name in ("empty.txt", "empty.tsv"):
        (tmp_path / name).write_text("\n")
    for model, file, fault in (
        (
            classifier,
            "other.tsv",
            "other.tsv, line 3: the model has no label 'weather'; it has 'health', 'sport', 'world",
        ),
        (classifier, "empty.tsv", "line 1: is empty; a table begins with a header"),
        (classifier, "none.tsv", "none.tsv: no such file"),
    ):
        with pytest.raises(FocusError, match=fault):
            reduced(model, tmp_path / "o", "int8", tmp_path / file)
    with pytest.raises(FocusError, match=r"empty\.txt: the text is empty"):
        reduced(release, tmp_path / "o", "int8", tmp_path / "empty.txt")
    assert not (tmp_path / "o").exists()


def with_heads(classifier, output, *names):
    """The classifier with copies of its head under other names."""
    shutil.copytree(classifier, output)
    state = torch.load(output / "model.pt")
    old = "classification_heads.classification."
    head = {name: state["model"].pop(name) for name in list(state["model"]) if name.startswith(old)}
    for name in names:
        state["model"] |= {key.replace(old, f"classification_heads.{name}."): value for key, value in head.items()}
    del state["cfg"]["model"]["load_checkpoint_heads"]  # as in what fairseq-train saves
    torch.save(state, output / "model.pt")
    return output


def test_a_head_of_any_name_is_exported(classifier, exact, lines, tmp_path):
    model = with_heads(classifier, tmp_path / "model", "sentence-head")
    export_onnx(OnnxExport(model=model), tmp_path / "onnx")
    for a, b in zip(Predictor(tmp_path / "onnx").predict(lines), Predictor(exact).predict(lines), strict=True):
        assert a == b
    export_huggingface(model, tmp_path / "hf")
    export_huggingface(classifier, tmp_path / "expected")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("hf", "expected")]
    assert weights[0] == weights[1]


def test_a_head_that_cannot_be_told_is_refused(classifier, tmp_path):
    with_heads(classifier, tmp_path / "two", "tone", "topic")
    for name, labels in (("none", ""), ("few", "a\nb\n"), ("twice", "a\nb\na\n")):
        shutil.copytree(classifier, tmp_path / name)
        (tmp_path / name / "labels.txt").write_text(labels)
    (tmp_path / "none" / "labels.txt").unlink()
    for name, fault in (
        ("two", "two: has the heads tone, topic; a model with one of them is needed here"),
        ("none", r"labels\.txt: no such file; it must have the labels of the head's 3 classes"),
        ("few", r"labels\.txt: has 2 labels, but the model's head 3 classes"),
        ("twice", r"twice/labels\.txt: .* the label 'a' twice"),
    ):
        with pytest.raises(FocusError, match=fault):
            export_onnx(OnnxExport(model=tmp_path / name), tmp_path / "o")
        with pytest.raises(FocusError, match=fault):
            export_huggingface(tmp_path / name, tmp_path / "o")
        assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--precision", "int8"), "--precision int8 requires --valid, on which its loss is measured"),
        (("--activation-ranges-of", "text"), "--activation-ranges-of has no effect without --precision int8"),
        (("--valid", "no.tsv"), "--valid has no effect without --precision or --keep-tokens-of"),
        (("--keep-tokens-of", "no.txt", "--max-loss", "0.5"), "--max-loss has no effect without --valid"),
        (("--keep-tokens-of", "no.txt", "--label-column", "label"), "--label-column has no effect without --valid"),
        (("--hf",), "Give one of --onnx, --hf and --triton"),
    ],
)
def test_options_that_need_others_say_so(classifier, tmp_path, options, says):
    refuse_usage(("--onnx", "--model", classifier, "--output", tmp_path / "o", *options), says)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("--hf", ("--precision", "int8")),
        ("--hf", ("--precision", "fp32")),
        ("--hf", ("--keep-tokens-of", "no.txt")),
        ("--triton", ("--pooling", "first")),
        ("--triton", ("--hidden-states",)),
    ],
)
def test_options_of_another_form_are_refused(classifier, tmp_path, form, options):
    command = (form, "--model", classifier, "--output", tmp_path / "o", *options)
    refuse_usage(command, f"{options[0]} has no effect with {form}")
    assert not any(tmp_path.iterdir())


def refuse_usage(options, says):
    done = run("focus", "export", *options, check=False)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_head_leaves_no_room_for_a_pooling(classifier, tmp_path):
    fault = "is a model for classification, which has no option --pooling; leave it out"
    with pytest.raises(FocusError, match=fault):
        export_onnx(OnnxExport(model=classifier, head={"pooling": "mean"}), tmp_path / "o")
    with pytest.raises(FocusError, match=fault):
        export_huggingface(classifier, tmp_path / "o", {"pooling": "first"})
    assert not list(tmp_path.iterdir())


def test_hidden_states_come_on_demand(release, exact, lines, tmp_path):
    """They are fairseq's; where nobody asks for them, the model has no such output."""
    export_onnx(OnnxExport(model=release, hidden_states=True), tmp_path / "onnx")
    names = [
        [output.name for output in onnxruntime.InferenceSession(str(path / "model.onnx")).get_outputs()]
        for path in (tmp_path / "onnx", exact)
    ]
    assert names == [["embedding", "hidden_states"], ["logits"]]
    assert json.loads((tmp_path / "onnx" / "config.json").read_text())["hidden_states"] is True
    model = XLMRModel.from_pretrained(str(release)).eval()
    with torch.inference_mode():
        want = torch.cat([model.extract_features(model.encode(line))[0] for line in lines[:10]])
    np.testing.assert_allclose(_hidden_states(tmp_path / "onnx", lines[:10]), want.numpy(), atol=1e-4)
    mean = _hidden_states(tmp_path / "onnx", lines[:1]).mean(0)
    np.testing.assert_allclose(Predictor(tmp_path / "onnx").rows(lines[:1])[0], mean, atol=1e-5)


@pytest.fixture(scope="module")
def pruned(release, directory, source_text):
    """The encoder with the tokens of 40 lines in two files, those lines, and the whole encoder's export."""
    corpus, lines = directory / "some.txt", source_text.read_text().splitlines()[:40]
    corpus.write_text("\n".join(lines))
    (directory / "some.1").write_text("\n".join(lines[:5]))
    (directory / "some.2").write_bytes(gzip.compress("\n".join(lines[5:]).encode()))
    command = ("focus", "export", "--onnx", "--model", release, "--output", directory / "pruned.onnx")
    said = run(*command, "--keep-tokens-of", directory / "some.[12]").stdout
    export_onnx(OnnxExport(model=release), directory / "whole.onnx")
    found = counts(directory / "pruned.onnx")
    assert f"{found['tokens']} of {found['checkpoint_tokens']} tokens are kept" in said
    assert found["tokens"] < found["checkpoint_tokens"] / 1.5
    return directory / "pruned.onnx", corpus, directory / "whole.onnx"


def test_a_pruned_vocabulary_changes_nothing_for_its_corpus(pruned):
    few, corpus, whole = pruned
    lines = corpus.read_text().splitlines()
    for a, b in zip(Predictor(few).predict(lines), Predictor(whole).predict(lines), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert (few / "model.onnx.data").stat().st_size < (whole / "model.onnx.data").stat().st_size


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_left_out_tokens_lose_is_judged(release, pruned, source_text, tmp_path, precision):
    """By the embeddings of the encoder with all tokens, whatever the precision."""
    few, corpus, whole = pruned
    others = tmp_path / "others.txt"
    others.write_text("\n".join(source_text.read_text().splitlines()[40:140]))
    options = {"precision": precision, "valid": (others,), "keep_tokens_of": (corpus,), "max_loss": 0}
    with pytest.raises(FocusError, match=f"in {precision} with these tokens, the model's cosine on it is"):
        export_onnx(OnnxExport(model=release, **options), tmp_path / "o")
    command = ("focus", "export", "--onnx", "--model", release, "--output", tmp_path / "o", "--keep-tokens-of", corpus)
    said = run(*command, "--precision", precision, "--valid", others, "--max-loss", 1).stdout
    lines = others.read_text().splitlines()
    exact, kept = (np.stack(list(Predictor(path).predict(lines))) for path in (whole, tmp_path / "o"))
    cosines = (exact * kept).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(kept, axis=1)
    assert counts(tmp_path / "o")["scores"]["cosine"] == [pytest.approx(1), pytest.approx(cosines.mean(), abs=1e-4)]
    assert counts(tmp_path / "o")["fp32_bytes"] > sum(path.stat().st_size for path in few.iterdir())
    assert f"cosine as {precision} {cosines.mean():.3f} (fp32 with all tokens: 1.000)" in said


def test_not_a_number_is_the_greatest_loss():
    scores = {"fixed": float("nan"), "measured": 0.4}
    judged = {name: Quality({"accuracy": (0.9, score)}, ("accuracy",)) for name, score in scores.items()}
    assert least_loss(judged) == "measured"
    assert with_cosine(judged["fixed"], "cosine", 0.1).worst == "accuracy"
    assert with_cosine(judged["measured"], "cosine", 0.1).worst == "cosine"


@pytest.mark.parametrize("metric", [pearsonr, spearmanr, matthews_corrcoef])
@pytest.mark.parametrize(("exact", "reduced"), [([0, 1, 1, 0], [1, 0, 1, 0]), ([1, 0, 1, 0], [1, 0, 0, 0])])
def test_what_a_correlation_loses_is_its_drop(metric, exact, reduced):
    """Also from zero and below, where a loss relative to the score would say nothing."""

    def score(expected, results):
        found = metric(expected, results)
        return found if isinstance(found, float) else found.statistic

    task = TaskHead(
        name="t", summary="", examples=print, forward=print, metrics=lambda *both: {"score": score(*both), "other": 1}
    )
    examples = [Example(i, "", expected) for i, expected in enumerate([0, 1, 1, 1])]
    judged = quality(task, examples, exact, reduced)
    first, second = (score([0, 1, 1, 1], results) for results in (exact, reduced))
    assert judged.scores["score"] == (first, second)
    assert judged.loss == pytest.approx(first - second)
    assert quality(task, examples, reduced, exact).loss == pytest.approx(second - first)
    assert (judged.worst, first > second) == ("score", True)


def test_other_texts_are_cut_into_the_tokens_that_are_left(pruned, source_text):
    """The whole model says the same of the tokens into which the pruned one cuts a text, none of them unknown."""
    few, corpus, whole = pruned
    lines = source_text.read_text().splitlines()[40:140]
    cut = sentencepiece.SentencePieceProcessor(model_file=str(few / "sentencepiece.model"))
    table = np.load(whole / "piece_ids.npy")
    session = onnxruntime.InferenceSession(str(whole / "model.onnx"))
    known = {cut.unk_id(), *cut.encode(" ".join(corpus.read_text().splitlines()))}
    old = sentencepiece.SentencePieceProcessor(model_file=str(whole / "sentencepiece.model"))
    new = 0
    for line, found in zip(lines, Predictor(few).predict(lines), strict=True):
        pieces = cut.encode(line)
        assert pieces.count(cut.unk_id()) == old.encode(line).count(cut.unk_id())
        assert all(piece in known or len(cut.id_to_piece(piece)) == 1 for piece in pieces)
        ids = np.array([[0, *table[pieces], 2]], np.int32)
        (expected,) = session.run(None, {"input_ids": ids, "lengths": np.array([ids.shape[1]], np.int32)})
        np.testing.assert_allclose(found, expected[0], atol=1e-6)
        new += pieces != old.encode(line)
    assert new > 10


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def restricted(request, tmp_path_factory, source_text):
    """A SentencePiece model, the same restricted to some lines, these lines, and which pieces it may use."""
    root = tmp_path_factory.mktemp(request.param)
    corpus = root / "some.txt"
    corpus.write_text("\n".join(source_text.read_text().splitlines()[:40]))
    options = {"vocab_size": 400, "model_type": request.param, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(input=str(source_text), model_prefix=str(root / "model"), **options)
    content, used = restrict_pieces(root / "model.model", Text.of(corpus))
    whole = sentencepiece.SentencePieceProcessor(model_file=str(root / "model.model"))
    return whole, sentencepiece.SentencePieceProcessor(model_proto=content), corpus.read_text().splitlines(), used


def test_a_restricted_tokenizer_cuts_its_corpus_as_before(restricted):
    whole, few, lines, used = restricted
    assert 0.1 < used.mean() < 0.9
    assert few.encode(lines) == whole.encode(lines)


@settings(max_examples=200, deadline=None)
@given(st.text("bchdfgjklmnprstaeiou .B!é", max_size=40))
def test_a_restricted_tokenizer_gives_used_pieces_alone_and_loses_no_text(restricted, text):
    whole, few, _, used = restricted
    pieces = few.encode(text)
    assert used[pieces].all()
    assert few.decode(pieces) == whole.decode(whole.encode(text))
