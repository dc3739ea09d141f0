"""Token distillation: its losses against plain loops and finite differences, and what its teacher may know."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned_rows import given_to_learn

from focus_plugin.checkpoint.forward import head_states, layer_states
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.learning.distilling import Reading, hidden_from_teacher, middle_loss, word_loss
from focus_plugin.learning.encoder import RowEncoder
from focus_plugin.learning.options import RowTrainingOptions
from focus_plugin.learning.pairs import NOWHERE, paired_samples
from focus_plugin.learning.text import drawn_lines, masked
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.matching import overlapping
from focus_plugin.vocabulary.vocabulary import MASK


@pytest.fixture(scope="module")
def given(release, vocabulary, target_text) -> Given:
    return given_to_learn(release, vocabulary, target_text, RowTrainingOptions())


@pytest.fixture(scope="module")
def texts(given):
    """Some samples in both vocabularies, what the student reads of them and what it predicts."""
    old, new = paired_samples(given, drawn_lines(given.text, 1), 24, 400)
    read, predicted = masked(new.ids, given.target, torch.Generator().manual_seed(1))
    return old, new, read, predicted


@pytest.fixture(scope="module")
def copied(given) -> torch.Tensor:
    return torch.from_numpy(np.where(given.target.special, -1, overlapping(given)))


def double(tensors) -> dict[str, torch.Tensor]:
    return {name: tensor.double() for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def student(given, copied) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    embedding = torch.randn(len(given.target), given.model.config.width, generator=draw) * 0.1
    bias = torch.randn(len(given.target), generator=draw)
    return double({**given.model.tensors, EMBEDDING: embedding, OUTPUT_EMBEDDING: embedding, OUTPUT_BIAS: bias})


def readings(given, texts, student) -> tuple[Reading, Reading]:
    old, new, read, predicted = texts
    hidden = hidden_from_teacher(old, new, predicted, given.source.ids[MASK])
    config = given.model.config
    return Reading.of(config, double(given.model.tensors), old, hidden), Reading.of(config, student, new, read)


def test_the_teacher_reads_masks_exactly_where_the_student_predicts(given, texts):
    old, new, _, predicted = texts
    hidden = hidden_from_teacher(old, new, predicted, given.source.ids[MASK])
    for sample in range(len(old.ids)):
        spans = set(new.spans[sample][predicted[sample]].tolist())
        for i, span in enumerate(old.spans[sample].tolist()):
            want = given.source.ids[MASK] if span in spans and span != NOWHERE else old.ids[sample, i].item()
            assert hidden[sample, i] == want
    assert (hidden == given.source.ids[MASK]).sum() > 50


def test_padding_does_not_change_the_states(given, texts):
    old = texts[0]
    short = int((old.spans != NOWHERE).sum(1).argmin())
    length = int((old.spans[short] != NOWHERE).sum()) + 1
    reading = Reading.of(given.model.config, given.model.tensors, old, old.ids)
    alone = list(layer_states(given.model.config, given.model.tensors, old.ids[short : short + 1, :length]))
    torch.testing.assert_close(reading.last[short, :length], alone[-1][0], atol=1e-5, rtol=0)
    middle = alone[given.model.config.layers // 2][0]
    torch.testing.assert_close(reading.middle[short, :length], middle, atol=1e-5, rtol=0)


def test_the_losses_are_those_of_loops(given, texts, copied, student):
    old, new, _, predicted = texts
    teacher, learner = readings(given, texts, student)
    wanted, found, divergences = [], [], []
    shared = [i for i, source in enumerate(copied.tolist()) if source >= 0]
    source = double(given.model.tensors)
    for sample in range(len(old.ids)):
        for span in range(int(new.spans[sample].max()) + 1):
            mine, theirs = new.spans[sample] == span, old.spans[sample] == span
            if not predicted[sample][mine].any():
                wanted.append(teacher.middle[sample][theirs].mean(0))
                found.append(learner.middle[sample][mine].mean(0))
            elif mine.sum() == theirs.sum() == 1 and copied[new.ids[sample][mine]] >= 0:
                logits = [
                    head_states(tensors, reading.last[sample][places]) @ tensors[OUTPUT_EMBEDDING].T
                    + tensors[OUTPUT_BIAS]
                    for tensors, reading, places in ((source, teacher, theirs), (student, learner, mine))
                ]
                p, q = logits[0][0, copied[shared]].softmax(0), logits[1][0, shared].softmax(0)
                divergences.append((p * (p.log() - q.log())).sum())
    wanted, found = torch.stack(wanted), torch.stack(found)
    want = ((found - wanted) ** 2 / wanted.var(0, correction=0)).mean()
    torch.testing.assert_close(middle_loss(teacher, learner, predicted), want)
    assert len(divergences) > 3
    weights = (source, student)
    torch.testing.assert_close(word_loss(teacher, learner, predicted, weights, copied), torch.stack(divergences).mean())


def test_gradients_are_finite_differences_and_the_bias_has_none(given, texts, copied, student):
    """Of the rows of the most frequent tokens of the samples, in the direction of random changes."""
    ids = texts[1].ids.flatten().bincount().argsort(descending=True)
    ids = ids[~torch.from_numpy(given.target.special)[ids]][:4].numpy()
    kept = np.arange(len(given.target)) % len(given.source)
    encoder = RowEncoder.of(given.model.config, student, kept, ids, "cpu")

    def loss(rows: torch.Tensor) -> torch.Tensor:
        tensors = replace(encoder, rows=rows).tensors()
        teacher, learner = readings(given, texts, tensors)
        weights = (double(given.model.tensors), tensors)
        return middle_loss(teacher, learner, texts[3]) + word_loss(teacher, learner, texts[3], weights, copied)

    loss(encoder.rows).backward()
    assert encoder.bias.grad is None
    draw = torch.Generator().manual_seed(5)
    for _ in range(3):
        change = torch.randn(encoder.rows.shape, generator=draw, dtype=torch.float64) * 1e-5
        with torch.no_grad():
            difference = loss(encoder.rows + change) - loss(encoder.rows - change)
        torch.testing.assert_close((encoder.rows.grad * change).sum() * 2, difference, rtol=1e-4, atol=1e-12)
