"""Trainings with the alignment of translations: what is added to masked LM, and what is not."""

import json
import os
import re
import socket
import subprocess

import pytest
import torch
from fairseq_commands import SHAPE, batches, built
from fairseq_models import USER_DIR, run, script, train_options
from invoked import run as run_command

from focus_plugin.bilingual.pairs import read_translations
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.jobs.prepare import prepare
from focus_plugin.jobs.pretrain import pretrain
from focus_plugin.masked_lm.options import Pretraining, TextPreparation
from focus_plugin.training.watcher import Watcher
from focus_plugin.trusted import trusted_globals

pytestmark = pytest.mark.usefixtures("one_thread")

ENTRIES = 60


@pytest.fixture(scope="module")
def data(world):
    words = sorted({word.strip(".").lower() for word in world.train.read_text().split()})
    lines = [f"{a}\t{b}\n" for a, b in zip(words[:ENTRIES], reversed(words), strict=False)]
    (world.root / "dictionary.tsv").write_text("".join(lines))
    texts = ("--train", world.train, "--valid", world.valid, "--dictionary", world.root / "dictionary.tsv")
    run_command("focus", "prepare", "--vocab", world.source, *texts, "--output", world.root / "data")
    return world.root / "data"


ALIGN = ("--task", "focus_align_mlm", "--criterion", "focus_align_mlm")
PLAIN = ("--task", "focus_masked_lm", "--criterion", "focus_masked_lm")


def losses(task, model, criterion, updates):
    """The masked-LM losses of a few updates, to the last digit."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    found = []
    for sample in batches(task, updates):
        optimizer.zero_grad()
        loss, size, logged = criterion(model, sample)
        (loss / size).backward()
        optimizer.step()
        found.append(logged["loss"].item())
    return found


def test_a_weight_of_zero_is_masked_lm_to_the_digit(data):
    plain, none, some = (
        losses(*built(data, *words), 5)
        for words in (PLAIN, (*ALIGN, "--align-weight", 0), (*ALIGN, "--align-weight", 10))
    )
    assert plain == none
    assert plain[0] == some[0], "the loss in the log is that of masked LM alone"
    assert plain[1:] != some[1:]


def test_the_term_is_in_the_training_and_not_in_the_validation(data):
    """Its gradient adds up to λ times that of the mean, however many tokens are predicted."""
    task, model, criterion = built(data, *ALIGN, "--align-weight", 7)
    model.eval()
    sample = batches(task, 1)[0]
    validation, size, _ = criterion(model, sample)
    model.train()
    training, _, logged = criterion(model, sample)
    embedding = model.encoder.sentence_encoder.embed_tokens.weight
    (gradient,) = torch.autograd.grad((training - validation) / size, embedding)
    assert logged["loss"].item() == pytest.approx(validation.item(), rel=1e-6)
    assert logged["align_cosine"].item() == -logged["align_loss"].item()
    rows = embedding.detach().clone().requires_grad_()
    total = 0
    for source, target in task.pairs():
        total = total + torch.cosine_similarity(rows[source].mean(0), rows[target].mean(0), dim=0)
    mean = total / len(task.pairs())
    assert ((training - validation) / size).item() == pytest.approx(-7 * mean.item(), rel=1e-4)
    (expected,) = torch.autograd.grad(-7 * mean, rows)
    torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-3)


def _logged(output):
    """The masked-LM loss and the alignment term of each update."""
    lines = [json.loads(line) for line in re.findall(r"\| train_inner \| (\{.*\})", output)]
    return {line["num_updates"]: (float(line["loss"]), float(line["align_loss"])) for line in lines}


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_two_ranks_are_one_rank_that_was_interrupted(data, tmp_path):
    """In loss and alignment, update for update; the checkpoint keeps the pairs."""
    words = (*SHAPE, *ALIGN, "--required-batch-size-multiple", 1)
    ranks = (
        *("--distributed-world-size", 2, "--distributed-init-method", f"tcp://127.0.0.1:{_free_port()}"),
        *("--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"),
    )
    command = [*map(str, (script("fairseq-train"), *train_options(data, tmp_path / "two", 4), *words, *ranks))]
    environment = {**os.environ, "PYTHONPATH": f"{USER_DIR.parent}:{os.environ.get('PYTHONPATH', '')}"}
    two = [
        subprocess.Popen(
            [*command, "--distributed-rank", str(rank)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=600)[0] for process in two]
    expected = _logged(outputs[0])
    found = {}
    for updates in (2, 4):
        trained = train_options(data, tmp_path / "one", updates)
        done = run(script("fairseq-train"), *trained, *words, "--update-freq", 2)
        assert done.returncode == 0, done.stdout
        found |= _logged(done.stdout)
    assert list(found) == list(expected) == ["1", "2", "3", "4"]
    for update, values in found.items():
        assert values == pytest.approx(expected[update], rel=1e-3)
    assert found["4"][1] < found["1"][1]
    with trusted_globals():
        state = torch.load(tmp_path / "one" / "checkpoint_last.pt")
    assert state["task_state"]["translations"] == [[list(p.source), list(p.target)] for p in read_translations(data)]


def test_focus_train_aligns(world, data, tmp_path):
    """In bfloat16, with a share of the pairs, which the release keeps."""
    train = ("focus", "train", data, "--init", world.source, "--cpu", "--device-tokens", 500, "--batch-tokens", 500)
    options = ("--objective", "align-mlm", "--updates", 12, "--dictionary-share", 0.5)
    done = run_command(*train, *options, "--output", tmp_path / "out", "--", "--bf16")
    manifest = json.loads((tmp_path / "out" / "focus.json").read_text())
    pairs, aligned = read_translations(tmp_path / "out"), manifest["counts"]["dictionary"]
    assert set(pairs) < set(read_translations(data))
    assert aligned["pairs"] == len(pairs) == round(0.5 * len(read_translations(data)))
    assert aligned["cosine"] > aligned["cosine_before"] + 0.05
    trained = read_checkpoint(tmp_path / "out")
    rows, ids = trained.tensors[EMBEDDING], trained.vocabulary.ids
    cosines = []
    for pair in pairs:
        source, target = (rows[[ids[token] for token in side]].mean(0) for side in (pair.source, pair.target))
        cosines.append(torch.cosine_similarity(source, target, 0))
    assert sum(cosines).item() / len(cosines) == pytest.approx(aligned["cosine"], abs=1e-4)
    assert f"{len(pairs)} pairs of the dictionary: mean cosine" in done.stdout
    assert manifest["inputs"]["translations.tsv"]
    assert manifest["options"]["objective"] == "align-mlm"


def test_an_alignment_needs_a_dictionary(world, tmp_path):
    prepare(TextPreparation(vocabulary=world.source, train=(world.train,), valid=(world.valid,)), tmp_path / "data")
    job = Pretraining(data=tmp_path / "data", init=world.source, objective="align-mlm", cpu=True)
    with pytest.raises(FocusError, match="data: holds no dictionary; give one to focus prepare with --dictionary"):
        pretrain(job, tmp_path / "out", Watcher())
