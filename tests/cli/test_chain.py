"""The main job on the embedded sample, from text to predictions.

The commands of the job run as a user runs them, each in a process of its own, and the other ones in this process.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run as run_program
from fairseq.models.roberta import XLMRModel
from invoked import refuse, refuse_all, run
from sklearn.metrics import accuracy_score, f1_score
from tokenizer_kinds import byte_level, unigram

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import load_fairseq
from focus_plugin.manifest import read_manifest
from focus_plugin.training.resume import State, unfinished_state

SAMPLE = Path(__file__).parents[2] / "sample"
SHORT = (
    "--updates",
    20,
    "--lr",
    "1e-3",
    "--batch-tokens",
    2048,
    "--device-tokens",
    2048,
    "--cpu",
    "--validate-every",
    10,
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Path:
    """A directory with text, vocabulary, converted encoders and data made from the sample."""
    work = tmp_path_factory.mktemp("chain")
    generate = (SAMPLE / "generate.py", "--output", work, "--seed", 3, "--lines", "swa=3000", "--topic-lines", 600)
    run_program("python", *generate)
    text = work / "swa.train.txt"
    run_program("focus", "vocab", "--input", text, "--size", 1500, "--output", work / "vocab")
    for method in ("focus", "random"):
        base = ("focus", "convert", "--source", SAMPLE / "source", "--vocab", work / "vocab", "--corpus", text)
        vectors = ("--dim", 50) if method == "focus" else ()
        run_program(*base, *vectors, "--method", method, "--output", work / method)
    prepared = ("--train", text, "--valid", work / "swa.valid.txt", "--output", work / "data")
    run_program("focus", "prepare", "--vocab", work / "vocab", *prepared)
    return work


@pytest.fixture(scope="module")
def trained(chain) -> Path:
    run_program("focus", "train", chain / "data", "--init", chain / "focus", "--output", chain / "lapt", *SHORT)
    return chain / "lapt"


@pytest.fixture(scope="module")
def topic(chain, trained) -> Path:
    tables = ("--train", chain / "topic.swa.train.tsv", "--valid", chain / "topic.swa.valid.tsv")
    short = ("--epochs", 8, "--lr", "1e-3", "--cpu")
    base = ("focus", "finetune", "classification", "--model", trained)
    run_program(*base, *tables, *short, "--truncate", "--output", chain / "topic")
    return chain / "topic"


@pytest.fixture(scope="module")
def exported(chain, topic) -> Path:
    run_program("focus", "export", "--onnx", "--model", topic, "--output", chain / "onnx")
    return chain / "onnx"


@pytest.fixture(scope="module")
def byte_level_chain(chain, tmp_path_factory) -> Path:
    """As ``chain``, with a byte-level tokenizer as it is published in place of a vocabulary trained here."""
    work, text = tmp_path_factory.mktemp("byte-level"), chain / "swa.train.txt"
    byte_level(text.read_text().splitlines(), 1200).save(str(work / "t.json"))
    run("focus", "vocab", "--tokenizer", work / "t.json", "--input", text, "--output", work / "vocab")
    for method in ("focus", "random"):
        base = ("focus", "convert", "--source", SAMPLE / "source", "--vocab", work / "vocab", "--corpus", text)
        vectors = ("--dim", 50) if method == "focus" else ()
        run(*base, *vectors, "--calibrate", 0, "--method", method, "--output", work / method)
    prepared = ("--train", text, "--valid", chain / "swa.valid.txt", "--output", work / "data")
    run("focus", "prepare", "--vocab", work / "vocab", *prepared)
    return work


def loss(chain: Path, model: Path) -> float:
    told = run("focus", "evaluate", chain / "data", "--model", model, "--cpu").stdout
    return float(re.search(r"loss ([\d.]+) nats", told)[1])


def encode(model: object, text: str) -> torch.Tensor:
    """As fairseq does, cut as --truncate cuts: to 64 tokens with <s> and </s>."""
    ids = model.encode(text)
    return torch.cat([ids[:-1][:63], ids[-1:]])


def counts(directory: Path) -> dict:
    return json.loads((directory / "focus.json").read_text())["counts"]


def rows(table: Path) -> list[list[str]]:
    return [line.split("\t") for line in table.read_text().splitlines()[1:]]


def test_focus_starts_clearly_below_random_and_training_goes_on_from_it(chain, trained):
    random, focus, after = loss(chain, chain / "random"), loss(chain, chain / "focus"), loss(chain, trained)
    assert focus < random - 0.3
    assert after < focus - 0.1


def test_the_target_vocabulary_cuts_words_into_fewer_tokens(chain):
    found = counts(chain / "focus")
    assert found["target_tokens_per_word"] < 0.7 * found["source_tokens_per_word"]
    assert found["overlap"] > 200
    assert found["mixed"] > 300


def test_train_prints_the_command_and_writes_a_release(chain, trained):
    before, after = read_checkpoint(chain / "focus"), read_checkpoint(trained)
    assert after.config == before.config
    assert after.vocabulary == before.vocabulary
    assert not any(torch.equal(after.tensors[name], value) for name, value in before.tensors.items() if "fc1" in name)
    assert XLMRModel.from_pretrained(str(trained)).fill_mask("Mtoto <mask> maji.", topk=2)
    losses = counts(trained)["valid_loss_nats"]
    assert list(losses) == ["10", "20"]
    assert not trained.with_name("lapt.unfinished").exists()
    again = run("focus", "train", chain / "data", "--init", chain / "focus", "--output", trained, *SHORT)
    assert "fairseq-train" not in again.stdout, "a second run does nothing"


def test_options_after_two_dashes_reach_fairseq(chain, tmp_path):
    base = ("focus", "train", chain / "data", "--init", chain / "focus", "--output", tmp_path / "out")
    done = run(*base, *SHORT, "--", "--max-update", 4, "--sample-break-mode", "eos", "--clip-norm", "0.5")
    command = next(line for line in done.stdout.splitlines() if "fairseq-train" in line)
    assert command.endswith("--max-update 4 --sample-break-mode eos --clip-norm 0.5")
    assert list(counts(tmp_path / "out")["valid_loss_nats"]) == ["4"]


def test_numbers_to_train_with_are_checked(chain, tmp_path):
    base = ("focus", "train", chain / "data", "--init", chain / "focus", "--output", tmp_path / "out", "--cpu")
    for option, value in (("--lr", "nan"), ("--seed", 2**32 - 1)):
        done = run(*base, option, value, check=False)
        assert done.returncode == 2
        assert f"Invalid value for '{option}'" in done.stderr
    refuse(*base, "--device-tokens", 50, says="--device-tokens 50: a sample has 64 tokens")
    refuse(*base, "--", "--save-dir=here", says="--save-dir cannot be given after --")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_training_goes_on_where_it_was(chain, tmp_path):
    """Killed without warning after its first checkpoint; the same command finishes the rest."""
    program = str(Path(sys.executable).parent / "focus")
    small = ("--batch-tokens", 1024, "--device-tokens", 1024)
    options = [*map(str, (*SHORT, *small, "--", "--max-update", 40, "--total-num-update", 40))]
    job = (chain / "data", "--init", chain / "focus", "--output", tmp_path / "out")
    command = [program, "train", *map(str, job), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    last = tmp_path / "out.unfinished" / "checkpoint_last.pt"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    subprocess.run(["pkill", "-KILL", "-g", str(process.pid)], check=True)
    assert process.wait() == -signal.SIGKILL
    while unfinished_state(last.parent, read_manifest(last.parent)) is State.RUNNING:
        assert time.monotonic() < deadline, "its child, fairseq-train, is still there"
        time.sleep(0.05)
    refuse(*["focus", *command[1:], "--clip-norm", "9"], says="unfinished run with other")
    run("focus", *command[1:])
    log = (tmp_path / "out" / "train.log").read_text()
    assert log.count("Loaded checkpoint") >= 1
    resumed = log[log.rindex("Loaded checkpoint") :]
    first = int(re.search(r'"(?:valid_)?num_updates": "(\d+)"', resumed)[1])
    assert first > 10, "not from the beginning"
    assert list(counts(tmp_path / "out")["valid_loss_nats"])[-1] == "40"


def test_same_seed_same_model(chain, tmp_path):
    for name in ("a", "b"):
        base = ("focus", "train", chain / "data", "--init", chain / "focus", "--output", tmp_path / name)
        run(*base, "--updates", 3, "--batch-tokens", 512, "--device-tokens", 512, "--cpu")
    assert (tmp_path / "a" / "model.pt").read_bytes() == (tmp_path / "b" / "model.pt").read_bytes()


def test_finetuning_learns_and_reports_what_it_learned(chain, topic):
    found = counts(topic)
    table = rows(chain / "topic.swa.valid.tsv")
    commonest = Counter(label for label, _ in table).most_common(1)[0][1] / len(table)
    assert found["valid_accuracy"] > commonest + 0.1
    assert found["labels"] == sorted({label for label, _ in rows(chain / "topic.swa.train.tsv")})
    assert json.loads((topic / "head.json").read_text())["settings"]["labels"] == found["labels"]


def test_fairseq_predicts_the_reported_scores(chain, topic):
    """The scores again, from the written directory and one text at a time."""
    model = XLMRModel.from_pretrained(str(topic)).eval()
    labels = counts(topic)["labels"]
    table = rows(chain / "topic.swa.valid.tsv")
    with torch.inference_mode():
        predicted = [labels[int(model.predict("classification", encode(model, text)).argmax())] for _, text in table]
    expected = [label for label, _ in table]
    assert counts(topic)["valid_accuracy"] == pytest.approx(accuracy_score(expected, predicted))
    assert counts(topic)["valid_macro_f1"] == pytest.approx(f1_score(expected, predicted, average="macro"))


def test_predict_says_what_fairseq_says(chain, topic, exported, tmp_path):
    texts = [text for _, text in rows(chain / "topic.swa.valid.tsv")][:60]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    files = ("--input", tmp_path / "texts.txt", "--output", tmp_path / "out.jsonl")
    run_program("focus", "predict", "--model", exported, *files, "--truncate")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["line"] for line in lines] == list(range(1, len(texts) + 1))
    model = XLMRModel.from_pretrained(str(topic)).eval()
    labels = counts(topic)["labels"]
    for text, line in zip(texts, lines, strict=True):
        with torch.inference_mode():
            scores = model.predict("classification", encode(model, text)).exp()[0].tolist()
        assert line["scores"] == pytest.approx(dict(zip(labels, scores, strict=True)), abs=1e-4)
        assert line["label"] == max(line["scores"], key=line["scores"].get)


def test_an_encoder_is_exported_with_its_pooling(chain, trained, tmp_path):
    model = XLMRModel.from_pretrained(str(trained)).eval()
    text = (chain / "swa.valid.txt").read_text().splitlines()[0]
    (tmp_path / "text.txt").write_text(f"{text}\nMaji.\n")
    with torch.inference_mode():
        hidden = model.extract_features(model.encode(text))[0]
    for pooling, want in (("mean", hidden.mean(0)), ("first", hidden[0])):
        directory = tmp_path / pooling
        run_program("focus-export", "--onnx", "--model", trained, "--pooling", pooling, "--output", directory)
        output = tmp_path / f"{pooling}.jsonl"
        run("focus", "predict", "--model", directory, "--input", tmp_path / "text.txt", "--output", output)
        line = json.loads(output.read_text().splitlines()[0])
        np.testing.assert_allclose(line["embedding"], want.numpy(), atol=1e-4)


def test_an_export_beyond_the_tolerance_is_not_written(topic, tmp_path):
    command = ("focus", "export", "--onnx", "--model", topic, "--output", tmp_path / "o", "--tolerance", "1e-9")
    refuse(*command, says="more than the tolerance of 1e-09; nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_predict_imports_neither_torch_nor_fairseq(chain, exported, tmp_path):
    """The command itself, asked what it imported."""
    code = (
        "import sys; sys.argv[0] = 'focus'\nfrom focus_cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    print([name for name in ('torch', 'fairseq', 'transformers', 'onnx', 'scipy') if name in sys.modules])"
    )
    files = ("--input", chain / "swa.valid.txt", "--output", tmp_path / "out.jsonl")
    done = run_program("python", "-c", code, "predict", "--model", exported, *files, "--truncate")
    assert done.stdout.splitlines()[-1] == "[]"
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 150


def test_the_export_needs_nothing_beside_it(exported, tmp_path):
    """Moved to another place, it predicts as before."""
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in exported.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    texts = tmp_path / "t.txt"
    texts.write_text("Mtoto anakunywa maji.\n\nDaktari alimtibu mgonjwa.\n")
    refuse("focus", "predict", "--model", moved, "--input", texts, "--output", moved, says="already exists")
    for model, output in ((exported, "a"), (moved, "b")):
        run("focus", "predict", "--model", model, "--input", texts, "--output", tmp_path / output)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_inspect_knows_every_directory(chain, trained, topic, exported):
    kinds = {
        "vocab": "vocabulary",
        "focus": "converted encoder",
        "data": "masked-LM data",
        "lapt": "trained encoder",
        "topic": "classification model",
        "onnx": "ONNX model",
    }
    for name, kind in kinds.items():
        assert run("focus", "inspect", chain / name).stdout.splitlines()[0] == f"{chain / name}: {kind}"


def test_faults_of_tables_and_texts_are_told(chain, trained, exported, tmp_path):
    good = tmp_path / "good.tsv"
    good.write_text("label\ttext\nhealth\tDaktari.\nsport\tMechi.\n")
    base = ("focus", "finetune", "classification", "--model", trained, "--train", good)
    tables = (
        ("label\ttext\nnonsense\tMaji.\n", "0.tsv, line 2: the label 'nonsense'"),
        ("topic\ttext\nhealth\tMaji.\n", "no column 'label'"),
        ("label\ttext\nhealth\tMaji.\textra\n", "2.tsv, line 2: 3 columns"),
        ("label\ttext\nhealth\t" + "maji " * 300 + "\n", "3.tsv, line 2: 302 tokens, but the model takes at most 64"),
        ("label\ttext\n", "4.tsv"),
        ("label\ttext\n\n\n", "5.tsv"),
        ("", "6.tsv"),
    )
    for number, (content, _) in enumerate(tables):
        (tmp_path / f"{number}.tsv").write_text(content)
    (tmp_path / "long.txt").write_text("Maji.\n" + "maji " * 300 + "\n")
    predict = ("focus", "predict", "--model", exported, "--input", tmp_path / "long.txt", "--output", tmp_path / "p")
    before = sorted(tmp_path.iterdir())
    refuse_all(
        *(
            ((*base, "--valid", tmp_path / f"{number}.tsv", "--output", tmp_path / f"{number}.out"), says)
            for number, (_, says) in enumerate(tables)
        ),
        ((*base, "--valid", tmp_path / "absent.tsv", "--output", tmp_path / "out"), "absent.tsv: no such file"),
        (predict, "long.txt, line 2:"),
        (("focus", "predict", "--model", trained, "--input", good, "--output", tmp_path / "q"), "config.json"),
    )
    assert sorted(tmp_path.iterdir()) == before
    run(*predict, "--truncate")
    assert len((tmp_path / "p").read_text().splitlines()) == 2


def test_fairseq_train_converts_as_focus_convert_does(chain, tmp_path):
    """From another directory, with a fastText model; one update at a learning rate of 0 saves what was built."""
    text, vocabulary = chain / "swa.train.txt", chain / "vocab"
    made = ("--corpus", text, "--vocab", vocabulary, "--dim", 20)
    run("focus", "auxiliary", *made, "--trainer", "fasttext", "--output", tmp_path / "v.bin")
    source = ("--source", SAMPLE / "source", "--vocab", vocabulary, "--auxiliary", tmp_path / "v.bin")
    run("focus", "convert", *source, "--output", tmp_path / "converted")
    plugin = ("--user-dir", "focus_plugin", "--task", "focus_masked_lm", "--arch", "focus_roberta")
    initialization = ("--focus-source", SAMPLE / "source", "--focus-auxiliary", tmp_path / "v.bin")
    training = ("--criterion", "masked_lm", "--optimizer", "adam", "--lr", 0, "--max-tokens", 512, "--max-update", 1)
    short = ("--tokens-per-sample", 64, "--save-dir", tmp_path / "saved", "--cpu")
    run_program("fairseq-train", chain / "data", *plugin, *initialization, *training, *short, cwd=tmp_path)
    want = read_checkpoint(tmp_path / "converted").tensors
    saved, _ = load_fairseq(tmp_path / "saved" / "checkpoint_last.pt")
    assert all(torch.equal(saved[name], tensor) for name, tensor in want.items())


def test_a_byte_level_tokenizer_goes_all_the_way_to_a_classifier(chain, byte_level_chain):
    work = byte_level_chain
    assert counts(work / "data")["valid"]["unknown"] == 0
    assert counts(work / "focus")["overlap"] > 200, "words of the source start with another mark"
    before = loss(work, work / "focus")
    assert before < loss(work, work / "random") - 0.3
    run("focus", "train", work / "data", "--init", work / "focus", "--output", work / "lapt", *SHORT)
    assert loss(work, work / "lapt") < before
    tables = ("--train", chain / "topic.swa.valid.tsv", "--valid", chain / "topic.swa.valid.tsv", "--truncate", "--cpu")
    base = ("focus", "finetune", "classification", "--model", work / "lapt", "--output", work / "topic")
    run(*base, *tables, "--epochs", 1)
    for name in ("vocab", "focus", "data", "lapt", "topic"):
        assert (work / name / "tokenizer.json").read_bytes() == (work / "t.json").read_bytes()
    inspected = run("focus", "inspect", work / "topic").stdout
    assert "    tokenizer.json: " in inspected
    samples = len(rows(chain / "topic.swa.valid.tsv"))
    assert f"Warning: valid: {samples} of {samples} texts are also in train" in inspected
    assert "tokenizers" in json.loads((work / "topic" / "focus.json").read_text())["made_by"]
    run("focus", "export", "--onnx", "--model", work / "topic", "--output", work / "onnx")
    assert counts(work / "onnx")["largest_difference_to_pytorch"] < 1e-4
    assert (work / "onnx" / "tokenizer.json").read_bytes() == (work / "t.json").read_bytes()


def test_fairseq_train_knows_the_kind_of_the_tokens(byte_level_chain, tmp_path):
    """It converts to a byte-level vocabulary as focus convert does."""
    plugin = ("--user-dir", "focus_plugin", "--task", "focus_masked_lm", "--arch", "focus_roberta")
    initialization = ("--focus-source", SAMPLE / "source", "--focus-method", "random")
    training = ("--criterion", "masked_lm", "--optimizer", "adam", "--lr", 0, "--max-tokens", 512, "--max-update", 1)
    short = ("--tokens-per-sample", 64, "--save-dir", tmp_path / "saved", "--cpu")
    run_program("fairseq-train", byte_level_chain / "data", *plugin, *initialization, *training, *short, cwd=tmp_path)
    want = read_checkpoint(byte_level_chain / "random").tensors
    saved, _ = load_fairseq(tmp_path / "saved" / "checkpoint_last.pt")
    assert all(torch.equal(saved[name], tensor) for name, tensor in want.items())


def test_a_unigram_tokenizer_is_exported(chain, tmp_path):
    text = chain / "swa.train.txt"
    unigram(text.read_text().splitlines(), 1200).save(str(tmp_path / "t.json"))
    vocab = ("focus", "vocab", "--input", text, "--output", tmp_path / "vocab")
    run(*vocab, "--tokenizer", tmp_path / "t.json")
    again = (tmp_path / "vocab" / "focus.json").stat().st_mtime_ns
    run(*vocab, "--tokenizer", tmp_path / "t.json")
    assert (tmp_path / "vocab" / "focus.json").stat().st_mtime_ns == again, "a second run does nothing"
    for options in ((), ("--tokenizer", tmp_path / "t.json", "--size", 900)):
        done = run(*vocab, *options, check=False)
        assert done.returncode == 2
        assert "Give --size to train a vocabulary" in done.stderr
    made = ("--source", SAMPLE / "source", "--vocab", tmp_path / "vocab", "--method", "random")
    run("focus", "convert", *made, "--output", tmp_path / "model")
    run("focus", "export", "--onnx", "--model", tmp_path / "model", "--output", tmp_path / "onnx")
    assert counts(tmp_path / "onnx")["largest_difference_to_pytorch"] < 1e-4


def test_too_little_text_to_evaluate_on_is_told(chain, tmp_path):
    (tmp_path / "word.txt").write_text("Maji.\n")
    prepared = ("--train", tmp_path / "word.txt", "--valid", tmp_path / "word.txt", "--output", tmp_path / "data")
    run("focus", "prepare", "--vocab", chain / "vocab", *prepared)
    evaluate = ("focus", "evaluate", tmp_path / "data", "--model", chain / "focus", "--cpu")
    assert str(tmp_path / "data") in refuse(*evaluate, says="too little text in valid")


def test_a_hugging_face_directory_is_to_be_converted_first(chain, hugging_face, tmp_path):
    base = ("focus", "train", chain / "data", "--output", tmp_path / "out", "--cpu", "--init", hugging_face)
    refuse(*base, says="has no model.pt; give a directory made by focus convert")
    assert not (tmp_path / "out").exists()


def test_data_of_another_vocabulary_is_refused(chain, release, tmp_path):
    base = ("focus", "train", chain / "data", "--output", tmp_path / "out", "--cpu")
    refuse(*base, "--init", release, says="another vocabulary")
    refuse("focus", "evaluate", chain / "data", "--model", release, says="another vocabulary")
    refuse("focus", "train", chain / "vocab", "--init", release, "--output", tmp_path / "out", says="is a vocabulary")
    assert list(tmp_path.iterdir()) == []
